"""Reports made by hand, for the tests of the renderers."""

from mmdoctor.facts.machine import Gpu, Machine, Target
from mmdoctor.facts.parts import Role
from mmdoctor.finding import Confidence, Edit, Evidence, Finding, Fix, Severity
from mmdoctor.location import Location
from mmdoctor.report.model import Artifact, CrashedCheck, PartSummary, Report, SkippedCheck

MERGE = Finding(
    code="DRF011",
    name="merge-size-mismatch",
    family="drift",
    severity=Severity.ERROR,
    confidence=Confidence.CERTAIN,
    message="a 1024x768 image becomes 3996 placeholders, the model makes 999 features: every image request will fail",
    summary="The processor merges patches by another factor than the model.",
    evidence=(
        Evidence(
            "merge size",
            1,
            Location(file="preprocessor_config.json", pointer="/merge_size", line=12, column=3),
            2,
        ),
        Evidence(
            "spatial merge size",
            2,
            Location(file="config.json", pointer="/vision_config/spatial_merge_size", line=41, column=5),
        ),
    ),
    fix=Fix(
        "set merge_size to 2 in preprocessor_config.json",
        (Edit(file="preprocessor_config.json", pointer="/merge_size", value=2),),
    ),
)
TRUNCATED = Finding(
    code="INT002",
    name="safetensors-truncated",
    family="integrity",
    severity=Severity.WARNING,
    confidence=Confidence.LIKELY,
    message="the file has 288,571,596 of 577,143,192 bytes; 34 of 58 tensors lie past its end",
    summary="A safetensors file is shorter than its header says.",
    evidence=(
        Evidence("bytes", 288571596, Location(file="model-00001-of-00004.safetensors"), 577143192),
        Evidence(
            "first tensor past the end",
            "F16 [4096, 4096]",
            Location(
                file="model-00001-of-00004.safetensors",
                tensor="model.language_model.layers.{0..31}.self_attn.k_proj.weight",
            ),
        ),
    ),
    fix=Fix("download it again: `hf download org/name model-00001-of-00004.safetensors`"),
)
NORMAL = Finding(
    code="PRE008",
    name="mixed-float-dtypes",
    family="precision",
    severity=Severity.NOTE,
    confidence=Confidence.CERTAIN,
    message="3 of 729 tensors are F32 in a BF16 checkpoint; norms and gates are often kept so",
    summary="Tensors of one part have different floating point types.",
    evidence=(Evidence("F32 tensors", 3, Location(file="model.safetensors", tensor="model.norm.weight")),),
)
ARTIFACT = Artifact(
    path="Qwen2.5-VL-7B-sft",
    kind="Hugging Face folder",
    format="safetensors",
    model_type="qwen2_5_vl",
    architectures=("Qwen2_5_VLForConditionalGeneration",),
    saved_by="transformers 5.2.0",
    parameters=8292166656,
    nbytes=16584333312,
    tensors=729,
    dtypes={"BF16": 726, "F32": 3},
    files=tuple(f"model-0000{i}-of-00004.safetensors" for i in range(1, 5)),
    parts=(
        PartSummary(
            role=Role.VISION,
            name="visual",
            parameters=676550144,
            nbytes=1353100288,
            layers=32,
            details={"heads": 16, "patch": 14, "merge": 2},
        ),
        PartSummary(
            role=Role.TEXT,
            name="model",
            parameters=7070619136,
            nbytes=14141238272,
            layers=28,
            details={"heads": 28, "kv_heads": 4, "head_dim": 128},
        ),
    ),
    remarks=("a 1024x768 image is 999 tokens",),
)
MACHINE = Machine(
    platform="Linux-6.1.0-x86_64",
    python="3.12.4",
    cpus=16,
    ram_bytes=128 * 2**30,
    ram_available_bytes=100 * 2**30,
    gpus=(Gpu(index=0, name="NVIDIA L4", total_bytes=23034 * 2**20, free_bytes=22 * 2**30, capability=(8, 9)),),
    driver="580.65",
    cuda="13.0",
    packages={"torch": "2.14.1", "transformers": "5.23.0"},
)
BAD = Report(
    version="0.1.0",
    artifact=ARTIFACT,
    target=Target(
        gpu="L4-24GB", gpu_memory_bytes=23034 * 2**20, from_flags=True, engine="vllm", engine_version="0.11.0"
    ),
    depth="weights",
    findings=(MERGE, TRUNCATED, NORMAL),
    passed=("ATT001", "ATT003", "DRF002", "INT001"),
    skipped=(
        SkippedCheck(code="ENV009", reason="flash-attn is not installed", kind="could_not_check"),
        SkippedCheck(code="PRE012", reason="no GPU here and none named", kind="could_not_check"),
        SkippedCheck(code="PRE013", reason="no GPU here and none named", kind="could_not_check"),
        SkippedCheck(code="SRV001", reason="there is no audio tower", kind="not_applicable"),
    ),
    machine=MACHINE,
    seconds=6.21,
)
GOOD = Report(
    version="0.1.0",
    artifact=ARTIFACT,
    target=Target(),
    depth="headers",
    passed=("ATT001", "INT001"),
    machine=MACHINE,
    seconds=0.042,
)
CRASHED = Report(
    version="0.1.0",
    artifact=ARTIFACT,
    target=Target(),
    depth="headers",
    passed=("ATT001",),
    crashed=(CrashedCheck(code="INT001", error="KeyError: 'dtype'", traceback="Traceback ...\n  KeyError: 'dtype'\n"),),
    seconds=0.042,
)

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u202c \u200b[red]x[/red] | `a` <img src=x> @bob #12 "
    "https://evil.example\n# head\r\x9b\ud800"
)
"""Escape sequences, bidirectional text, markup of three kinds, a mention, links, line breaks, half a character."""


def hostile() -> Report:
    """A report whose every text comes from somebody who means harm."""
    finding = Finding(
        code="INT001",
        name="hostile",
        family="integrity",
        severity=Severity.ERROR,
        confidence=Confidence.CERTAIN,
        message=HOSTILE,
        summary=HOSTILE,
        evidence=(
            Evidence(HOSTILE, HOSTILE, Location(file=HOSTILE, tensor=HOSTILE), HOSTILE),
            Evidence("not a number", float("nan"), Location(file=HOSTILE, pointer=HOSTILE), float("inf")),
            Evidence("huge", 2**70, Location(file="x", offset=2**63), -(2**64)),
            Evidence("endless", 10**5000, Location(file="x"), float("-inf")),
        ),
        fix=Fix(HOSTILE),
    )
    artifact = Artifact(
        path=HOSTILE,
        kind=HOSTILE,
        format=HOSTILE,
        model_type=HOSTILE,
        architectures=(HOSTILE,),
        saved_by=HOSTILE,
        parameters=2**200,
        nbytes=1,
        dtypes={HOSTILE: 1},
        files=(HOSTILE,),
        parts=(PartSummary(role=Role.OTHER, name=HOSTILE, parameters=1, nbytes=1, details={HOSTILE: 1}),),
        remarks=(HOSTILE,),
    )
    return Report(
        version="0.1.0",
        artifact=artifact,
        target=Target(gpu=HOSTILE, from_flags=True),
        depth="weights",
        findings=(finding,),
        passed=("INT002",),
        skipped=(SkippedCheck(code="INT003", reason=HOSTILE, kind="could_not_check"),),
        crashed=(CrashedCheck(code="INT004", error=HOSTILE, traceback=HOSTILE),),
    )
