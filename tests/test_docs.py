"""Generated pages are the ones of the code."""

from pathlib import Path

import pytest

from mmdoctor.docs import ROOT, pages, with_output, write


@pytest.mark.parametrize(
    ("path", "text"), pages().items(), ids=lambda v: str(v.relative_to(ROOT)) if isinstance(v, Path) else ""
)
def test_a_generated_page_is_up_to_date(path: Path, text: str):
    assert path.is_file(), "run `python -m mmdoctor.docs`"
    assert path.read_text(encoding="utf-8") == text, "run `python -m mmdoctor.docs`"


def test_no_page_of_a_rule_that_is_gone():
    assert {*(ROOT / "docs" / "rules").glob("*.md")} <= {*pages()}


def test_what_a_command_prints_goes_between_its_markers():
    before = "a\n<!-- begin: mmdoctor --version -->\nold\n<!-- end: mmdoctor --version -->\nz\n"

    after = with_output(before)

    assert "old" not in after
    assert "```text\n$ mmdoctor --version\nmmdoctor " in after
    assert with_output(after) == after
    assert with_output("no markers\n") == "no markers\n"


def test_writing_twice_changes_nothing(tmp_path: Path):
    (tmp_path / "docs" / "rules").mkdir(parents=True)
    (tmp_path / "docs" / "rules" / "OLD001.md").write_text("gone")

    first = write(tmp_path)

    assert tmp_path / "checks" / "README.md" in first
    assert not (tmp_path / "docs" / "rules" / "OLD001.md").exists()
    assert write(tmp_path) == []
