"""The JSON report: its schema, shipped and kept, and values that every reader takes."""

import json
import math
from importlib.resources import files
from typing import Any

import jsonschema
import msgspec
import pytest

from mmdoctor.report.json_v1 import render
from mmdoctor.report.model import Report
from mmdoctor.report.schema_v1 import ReportV1, json_schema
from tests.report.reports import BAD, CRASHED, GOOD, hostile

SHIPPED = json.loads(files("mmdoctor.report").joinpath("schema/report-v1.json").read_text(encoding="utf-8"))
REPORTS = pytest.mark.parametrize("report", [BAD, GOOD, CRASHED, hostile()], ids=["bad", "good", "crashed", "hostile"])


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_shipped_schema_is_the_one_of_the_code():
    assert json_schema() == SHIPPED, "run `python -m mmdoctor.docs`"
    jsonschema.Draft202012Validator.check_schema(SHIPPED)


@REPORTS
def test_every_report_is_valid(report: Report):
    jsonschema.validate(strict(render(report)), SHIPPED, cls=jsonschema.Draft202012Validator)
    assert msgspec.json.decode(render(report), type=ReportV1).schema == "mmdoctor/report/v1"


@REPORTS
def test_it_is_ascii_and_closed_by_one_newline(report: Report):
    text = render(report)

    assert text.isascii()
    assert text.endswith("}\n")


def test_the_fields_that_the_design_names():
    report = strict(render(BAD))

    first = ["schema", "mmdoctor", "artifact", "target", "depth", "verdict", "summary", "findings", "passed"]
    assert [*report] == [*first, "skipped", "crashed", "memory", "machine", "self_test", "seconds"]
    assert {"path", "format", "model_type", "architectures", "parameters", "bytes", "dtypes", "files"} <= {
        *report["artifact"]
    }
    assert [*report["summary"]] == ["error", "warning", "note", "passed", "skipped", "crashed", "suppressed"]
    assert {"code", "name", "family", "severity", "confidence", "message", "location", "evidence", "fix"} <= {
        *report["findings"][0]
    }
    assert [*report["findings"][0]["evidence"][0]] == ["what", "observed", "expected", "location"]
    assert report["memory"] is None


def test_the_values(golden):
    golden("report.json", render(BAD))


def test_numbers_that_json_lacks_are_text():
    evidence = strict(render(hostile()))["findings"][0]["evidence"]

    assert [(e["observed"], e["expected"]) for e in evidence[1:]] == [
        ("nan", "inf"),
        (str(2**70), str(-(2**64))),
        (f"an integer of {(10**5000).bit_length()} bits", "-inf"),
    ]


def test_no_lone_surrogate_is_left():
    def walk(value: Any) -> None:
        if isinstance(value, str):
            value.encode("utf-8")
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(key)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, float):
            assert math.isfinite(value)

    report = strict(render(hostile()))
    walk(report)
    assert "\\ud800" in report["artifact"]["path"]
