"""What all tests share: golden outputs that are reviewed, not typed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden with what the code gives now")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/NAME; with --update-golden write it there, for the diff to be reviewed."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"tests/golden/{name} is not there; run pytest --update-golden and review it"
        assert file.read_text(encoding="utf-8") == text

    return compare


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    """A healthy folder of a few megabytes: the bundled reference model, as somebody's own."""
    return Path(
        shutil.copytree(GOLDEN.parents[1] / "mmdoctor" / "reference" / "weights" / "hybrid", tmp_path / "model")
    )


@pytest.fixture(autouse=True)
def _neutral_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours, width and CI come from the test, not from who runs it."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "TERMINAL_WIDTH", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", os.environ.get("TERM", "xterm"))
