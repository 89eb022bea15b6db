"""What the reports say of the self-test: right with its numbers, or wrong and where."""

import json

import jsonschema
import msgspec

from mmdoctor.facts.self_test import (
    Bundle,
    Canary,
    Deviation,
    DeviceTest,
    KernelRun,
    ModelRun,
    Repetition,
    Score,
    SelfTest,
)
from mmdoctor.report import json_v1, markdown, terminal
from mmdoctor.report.private import Private
from mmdoctor.report.self_test import lines
from tests.report.reports import GOOD
from tests.report.test_json_v1 import SHIPPED

CLOSE = Deviation(
    output="box",
    max_abs_error=0.1,
    rms_error=0.05,
    scale=1.0,
    cosine=1.0,
    non_finite=0,
    tolerance=0.25,
    rms_tolerance=0.2,
)
FAR = msgspec.structs.replace(CLOSE, output="decoder.layers.0.self_attn.heads", non_finite=3)
CPU = DeviceTest(
    device="cpu",
    name="x86_64, AVX512",
    runs=(
        ModelRun(fusion="hybrid", dtype="float32", attention="textbook", outputs=(CLOSE,), layers=179),
        ModelRun(fusion="late", dtype="float16", attention="AUTOMATIC", outputs=(CLOSE,), layers=9, layers_used=0.62),
        ModelRun(fusion="hybrid", dtype="float16", attention="CUDNN_ATTENTION", unavailable="No viable backend"),
    ),
    kernels=(
        KernelRun(kernel="MATH", dtype="float32", case="open", deviation=CLOSE),
        KernelRun(kernel="CUDNN_ATTENTION", dtype="float32", case="open", unavailable="No viable backend"),
        KernelRun(kernel="CUDNN_ATTENTION", dtype="float16", case="open", unavailable="No viable backend"),
    ),
    repetitions=(Repetition(how="again", dtype="float32", deviations=(CLOSE,)),),
    canaries=(
        Canary(
            dtype="int8",
            scenes=1000,
            scores=(Score(task="answers", observed=0.998, recorded=0.997, lowest=0.98),),
        ),
    ),
    not_tried={"torch.compile": "there is no C++ compiler"},
)
RIGHT = SelfTest(torch_version="2.14.1", threads=2, bundles=(Bundle(fusion="hybrid"),), devices=(CPU,), seconds=9.5)
BROKEN = msgspec.structs.replace(
    CPU,
    device="cuda:0",
    runs=(msgspec.structs.replace(CPU.runs[0], first_layer=FAR),),
)
WRONG = msgspec.structs.replace(RIGHT, devices=(CPU, BROKEN))


def test_a_right_machine_with_its_numbers() -> None:
    assert list(lines(RIGHT)) == [
        "this machine computes right on cpu (x86_64, AVX512)",
        (
            "of what rounding explains, outputs and layers use at most: float32 40%, float16 62% "
            "(models of hybrid, late fusion)"
        ),
        "attention compared: written out, torch's choice, math",
        "not here: cuDNN (No viable backend); torch.compile (there is no C++ compiler)",
        "1000 scenes in int8: answers 99.8% (recorded 99.7%)",
    ]


def test_a_wrong_device_is_named_first() -> None:
    said = list(lines(WRONG))

    assert said[0] == "this machine computes wrong on cuda:0; right is what no finding names"
    assert sum(line.startswith("cuda:0: ") for line in said) == sum(line.startswith("cpu: ") for line in said) == 4


def test_damaged_files_judge_no_machine() -> None:
    damaged = msgspec.structs.replace(RIGHT, bundles=(Bundle(fusion="hybrid", load_error="no config.json"),))

    assert list(lines(damaged)) == ["this machine was not judged: the bundled files are damaged"]


def test_every_format_has_it() -> None:
    report = msgspec.structs.replace(GOOD, self_test=WRONG)
    said = json.loads(json_v1.render(report))

    jsonschema.validate(said, SHIPPED, cls=jsonschema.Draft202012Validator)
    cpu, cuda = said["self_test"]["devices"]
    assert (said["self_test"]["right"], cpu["right"], cuda["right"]) == (False, True, False)
    assert cuda["runs"][0]["first_layer"]["name"] == "decoder.layers.0.self_attn.heads"
    assert cuda["runs"][0]["first_layer"]["used"] is None
    assert cpu["scores"][0]["lowest"] == 0.98
    assert "this machine computes wrong on cuda:0" in terminal.render(report, width=100)
    assert "this machine computes wrong on cuda:0" in markdown.render(report, Private(()))
    assert "computes" not in terminal.render(report, quiet=True)
    assert "computes" not in terminal.render(GOOD)
