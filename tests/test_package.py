"""The wheel: both packages, the schema, the reference weights, and an entry point that works from it."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", target, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def test_it_has_what_the_packages_have(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())

    sources = {f.relative_to(ROOT).as_posix() for f in ROOT.glob("mmdoctor/**/*.py")}
    rules = {f.relative_to(ROOT / "checks").as_posix() for f in ROOT.glob("checks/mmdoctor_checks/**/*.py")}
    assert sources | rules <= names
    assert "mmdoctor/report/schema/report-v1.json" in names
    assert {"mmdoctor/py.typed", "mmdoctor_checks/py.typed"} <= names
    bundled = [f for folder in ("weights", "golden") for f in (ROOT / "mmdoctor/reference" / folder).glob("*/*")]
    assert {f.relative_to(ROOT).as_posix() for f in bundled} <= names


def test_the_three_reference_models_are_small_in_it(wheel: Path):
    bundled = re.compile(r"mmdoctor/reference/(weights|golden)/(hybrid|early|late)/(model|outputs)\.safetensors")
    files = zipfile.ZipFile(wheel).infolist()

    assert sum(bundled.fullmatch(file.filename) is not None for file in files) == 6
    sizes = [
        f.compress_size
        for f in files
        if f.filename.startswith(("mmdoctor/reference/weights/", "mmdoctor/reference/golden/"))
    ]
    assert sum(sizes) < 8 * 2**20


def test_it_has_nothing_else(wheel: Path):
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {t for t in tops if not t.endswith(".dist-info")} == {"mmdoctor", "mmdoctor_checks"}


def test_the_program_works_from_it(wheel: Path, tmp_path: Path, small_model: Path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    program = "import mmdoctor, sys; from mmdoctor.cli import main; print(mmdoctor.__file__, file=sys.stderr); main()"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True, text=True, env=environment, check=False, cwd=tmp_path,
        )  # fmt: skip

    assert str(site) in run("--version").stderr
    assert "INT001" in run("rules", "--no-plugins").stdout
    done = run("check", str(small_model), "--depth", "headers")
    assert done.returncode == 0, done.stdout + done.stderr
