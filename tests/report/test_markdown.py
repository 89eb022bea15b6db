"""The Markdown report: golden pages, no markup from artefacts, no private names."""

import re
from collections.abc import Callable

import msgspec
import pytest
from markdown_it import MarkdownIt

from mmdoctor.finding import Evidence, Fix
from mmdoctor.location import Location
from mmdoctor.report.markdown import render
from mmdoctor.report.model import Artifact
from mmdoctor.report.private import Private
from tests.report.reports import BAD, CRASHED, GOOD, MERGE, hostile

Golden = Callable[[str, str], None]
NOBODY = Private()


@pytest.mark.parametrize(("name", "report"), [("bad", BAD), ("good", GOOD), ("crashed", CRASHED)])
def test_the_page(golden: Golden, name: str, report):
    golden(f"markdown-{name}.md", render(report, NOBODY))


def tokens(text: str):
    def flat(nodes):
        for node in nodes:
            yield node
            yield from flat(node.children or [])

    return list(flat(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)))


def test_a_hostile_artefact_adds_no_markup():
    page = render(hostile(), NOBODY)
    kinds = {t.type for t in tokens(page)}
    html = {t.content for t in tokens(page) if t.type in {"html_inline", "html_block"}}

    assert not kinds & {"link_open", "image", "em_open", "fence", "s_open", "blockquote_open"}
    assert all(
        re.fullmatch(r"<!-- -->|</?(details|summary)>.*\n?|<details><summary>[^<]*</summary>\n", h) for h in html
    ), html
    headings = [t for t in tokens(page) if t.type == "heading_open"]
    assert len(headings) == 2, "the page's own and the finding's"


def test_a_hostile_artefact_mentions_and_links_nobody():
    text = "".join(t.content for t in tokens(render(hostile(), NOBODY)) if t.type == "text")
    page = render(hostile(), NOBODY)
    outside_code = re.sub(r"`+[^`]*`+", "", page)

    assert "@bob" not in outside_code
    assert "#12" not in outside_code
    assert "https://evil" not in outside_code
    assert "bob" in text


def test_tables_keep_their_columns():
    evidence = (Evidence("a|b", "x | y `|` z", Location(file="we|ird.json", pointer="/a|b"), "||"),)
    report = msgspec.structs.replace(BAD, findings=(msgspec.structs.replace(MERGE, evidence=evidence),))

    cells = [t for t in tokens(render(report, NOBODY)) if t.type in {"td_open", "th_open"}]

    assert len([t for t in cells if t.type == "th_open"]) == 4 + 2, "one finding and the machine"
    assert len([t for t in cells if t.type == "td_open"]) % 2 == 0


def test_home_user_and_host_are_nowhere():
    private = Private(["/data/people/alice"], ["alice"], ["gpubox7.corp.example", "gpubox7"])
    said = "from /data/people/alice/models/x on gpubox7.corp.example (gpubox7) by alice; not malice, not alices"
    finding = msgspec.structs.replace(
        MERGE, message=said, summary=said, fix=Fix(said), evidence=(Evidence(said, said, Location(file=said), said),)
    )
    report = msgspec.structs.replace(
        BAD, findings=(finding,), artifact=Artifact(path=said, kind=said, format=said, remarks=(said,))
    )

    page = render(report, private)

    assert not re.search(r"(?<![A-Za-z])alice(?![A-Za-z])", page)
    assert "gpubox7" not in page
    assert "corp.example" not in page
    assert "malice" in page
    assert "alices" in page
    assert "/models/x" in page


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("/home/bob/models/x", "~/models/x"),
        ("'/home/bob/models/x': missing", "'~/models/x': missing"),
        ("/Users/bob/x and /home/carol", "~/x and ~"),
        (r"C:\Users\bob\models", r"~\models"),
        ("/root/models", "~/models"),
        ("file:///home/bob/x", "file://~/x"),
        ("/rooted/x", "/rooted/x"),
        ("chroot/root/x", "chroot/root/x"),
        ("data/home/bob", "data/home/bob"),
        ("model.safetensors", "model.safetensors"),
    ],
)
def test_homes_of_anybody_are_hidden(text: str, hidden: str):
    assert Private().hide(text) == hidden


def test_names_of_nobody_in_particular_stay():
    private = Private(["/root"], ["root"], ["localhost"])

    assert private.hide("the root class of localhost") == "the root class of localhost"
    assert private.hide("/root/x") == "~/x"


def test_the_names_of_this_machine_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/alicia")
    monkeypatch.setenv("LOGNAME", "alicia")
    monkeypatch.setattr("socket.gethostname", lambda: "gpubox9.lan")

    assert Private.here().hide("/home/alicia/x alicia gpubox9.lan gpubox9") == "~/x <user> <host> <host>"
