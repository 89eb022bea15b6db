"""Imports point down only, and heavy libraries stay behind their wall."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("mmdoctor/**/*.py"), *ROOT.glob("checks/mmdoctor_checks/**/*.py")])

LAYERS = [
    {
        "mmdoctor.errors",
        "mmdoctor.installed",
        "mmdoctor.location",
        "mmdoctor.progress",
        "mmdoctor.versions",
        "mmdoctor.wording",
    },
    {"mmdoctor.finding"},
    {"mmdoctor.facts"},
    {"mmdoctor.check"},
    {"mmdoctor.engine"},
    {"mmdoctor.readers"},
    {"mmdoctor.architectures", "mmdoctor.reference", "mmdoctor.memory"},
    {"mmdoctor.probes", "mmdoctor.target"},
    {"mmdoctor.providers", "mmdoctor.plugins", "mmdoctor.select", "mmdoctor.config", "mmdoctor.explain"},
    {"mmdoctor.testing", "mmdoctor.report.model", "mmdoctor.lines", "mmdoctor.fixing"},
    {"mmdoctor.describe", "mmdoctor.report"},
    {"mmdoctor.examine", "mmdoctor.docs"},
    {"mmdoctor.cli"},
    {"mmdoctor.__main__"},
]
"""Lowest first. A module imports from its own layer's package and from below; the package `mmdoctor` itself has only
lazy imports and the version, so all may import it."""

HEAVY = {"torch", "torchvision", "transformers", "numpy", "pynvml", "psutil", "safetensors", "tokenizers", "jinja2"}
BEHIND_THE_WALL = ("mmdoctor.reference", "mmdoctor.probes")


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT / "checks" if "mmdoctor_checks" in file.parts else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[tuple[str, bool, int]]:
    """(module, whether it is imported when the file is, line)."""

    def walk(node: ast.AST, at_import: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, at_import, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}:{child.lineno}: relative import"
                module = child.module or ""
                for alias in child.names:
                    inner = f"{module}.{alias.name}"
                    yield inner if is_module(inner) else module, at_import, child.lineno
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            else:
                lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, at_import and not lazy)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), True)


def is_module(name: str) -> bool:
    return name in {name_of(m) for m in MODULES}


def layer_of(name: str) -> int | None:
    """The layer of the longest prefix that is in the table."""
    found = [
        (len(prefix), index)
        for index, layer in enumerate(LAYERS)
        for prefix in layer
        if name == prefix or name.startswith(f"{prefix}.")
    ]
    return max(found)[1] if found else None


def test_every_module_has_a_layer():
    own = [name_of(m) for m in MODULES if name_of(m).startswith("mmdoctor.")]

    assert [n for n in own if layer_of(n) is None] == []


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_point_down(file: Path):
    name = name_of(file)
    if name == "mmdoctor":
        return
    for imported, _, line in imports(file):
        if name.startswith("mmdoctor_checks"):
            own = name.rpartition(".")[0]
            family = imported.startswith("mmdoctor_checks") and not imported.startswith(own)
            assert not family, f"{file}:{line}: families of rules do not import each other"
            continue
        assert not imported.startswith("mmdoctor_checks"), f"{file}:{line}: found by its entry point, never imported"
        mine, theirs = layer_of(name), layer_of(imported)
        if theirs is not None and mine is not None:
            assert theirs <= mine, f"{file}:{line}: {name} is below {imported}"


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_torch_and_transformers_stay_behind_the_wall(file: Path):
    name = name_of(file)
    for imported, _, line in imports(file):
        if imported.partition(".")[0] in {"torch", "torchvision", "transformers"}:
            assert name.startswith(BEHIND_THE_WALL), f"{file}:{line}: {imported} belongs into reference or probes"


def modules_after(code: str, *arguments: str, cwd: Path) -> set[str]:
    start = f"import sys; sys.argv = ['mmdoctor', *{list(arguments)!r}]"
    program = "\n".join([start, "try:", f"    {code}", "finally:", "    print('MODULES', *sys.modules)"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=cwd)
    assert "MODULES " in done.stdout, done.stderr
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("rules",), ("explain", "INT001"), ("check", "--depth", "headers", "model")],
)
def test_what_a_command_imports(arguments: tuple[str, ...], small_model: Path):
    loaded = modules_after("from mmdoctor.cli import main; main()", *arguments, cwd=small_model.parent)

    assert "mmdoctor.cli.check" in loaded
    assert not loaded & {"torch", "torchvision", "transformers", "numpy", "safetensors", "tokenizers"}
    if arguments[0] != "check":
        assert not loaded & HEAVY


def test_importing_everything_else_needs_no_torch():
    names = [n for n in map(name_of, MODULES) if not n.startswith(("mmdoctor.reference.", "mmdoctor.__main__"))]

    loaded = modules_after(f"import importlib; [importlib.import_module(n) for n in {names!r}]", cwd=ROOT)

    assert not loaded & {"torch", "torchvision", "transformers", "numpy"}
