"""The fields of schema `mmdoctor/report/v1`. They are a promise to programs: fields are only ever added."""

from typing import Annotated, Any, Literal

import msgspec

from mmdoctor.report.self_test_v1 import SelfTestV1

SCHEMA = "mmdoctor/report/v1"

Value = str | int | float | bool | None
Count = Annotated[int, msgspec.Meta(ge=0)]


class LocationV1(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the artefact."""

    file: Annotated[str, msgspec.Meta(description="Path relative to the artefact; empty for the artefact as a whole.")]
    pointer: Annotated[str | None, msgspec.Meta(description="JSON pointer (RFC 6901) into the file.")]
    tensor: Annotated[
        str | None, msgspec.Meta(description="Tensor name, or a group such as `layers.{0..31}.q_proj.weight`.")
    ]
    line: Annotated[int | None, msgspec.Meta(description="1-based line.")]
    column: Annotated[int | None, msgspec.Meta(description="1-based column, in characters.")]
    offset: Annotated[int | None, msgspec.Meta(description="0-based byte offset in a binary file.")]


class EvidenceV1(msgspec.Struct, frozen=True, kw_only=True):
    """One observed fact."""

    what: Annotated[str, msgspec.Meta(description="Name of the quantity, with its unit.")]
    observed: Annotated[
        Value, msgspec.Meta(description="What stands there; numbers beyond 64 bits, NaN and infinities as text.")
    ]
    expected: Annotated[
        Value, msgspec.Meta(description="What it should be; null where nothing particular was expected.")
    ]
    location: LocationV1


class EditV1(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a program can make: to one JSON value, to a file's name, or of a whole text file."""

    action: Literal["set", "remove", "rename", "write"] = "set"
    file: str
    pointer: str | None = None
    """Of `set` and `remove`."""
    value: Any = None
    """Of `set`."""
    to: str | None = None
    """New path, of `rename`."""
    content: str | None = None
    """New text, of `write`; null when it is longer than 64 KiB (`mmdoctor fix` makes it)."""


class FixV1(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about it."""

    text: str
    edits: list[EditV1]


class FindingV1(msgspec.Struct, frozen=True, kw_only=True):
    """One problem."""

    code: str
    name: str
    family: str
    severity: Literal["note", "warning", "error"]
    confidence: Literal["certain", "likely", "possible"]
    message: Annotated[str, msgspec.Meta(description="One sentence with observed and expected values.")]
    summary: Annotated[str, msgspec.Meta(description="The rule's problem in general.")]
    location: Annotated[LocationV1, msgspec.Meta(description="Where to look first.")]
    evidence: Annotated[list[EvidenceV1], msgspec.Meta(min_length=1)]
    fix: FixV1 | None
    fingerprint: Annotated[
        str, msgspec.Meta(pattern="^[0-9a-f]{32}$", description="Of code and places, not of values.")
    ]


class PartV1(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the model."""

    role: str
    name: Annotated[str, msgspec.Meta(description="Name prefix of its tensors.")]
    parameters: Count
    bytes: Count
    dtypes: Annotated[dict[str, int], msgspec.Meta(description="Element type to bytes.")]
    layers: int | None
    details: dict[str, int]


class SettingV1(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a count comes from."""

    what: Annotated[str, msgspec.Meta(description="Its key, after the section where that matters.")]
    value: Value
    default_of: Annotated[str | None, msgspec.Meta(description="The class whose default it is; null where stated.")]
    location: LocationV1


class ImageV1(msgspec.Struct, frozen=True, kw_only=True):
    """What an image of one size costs (`--image`)."""

    width: Annotated[Count, msgspec.Meta(description="Pixels.")]
    height: Annotated[Count, msgspec.Meta(description="Pixels.")]
    placeholders: Annotated[
        int | None, msgspec.Meta(description="Tokens that the processor reserves for the image; null: cannot be told.")
    ]
    features: Annotated[int | None, msgspec.Meta(description="Vectors that the model makes; the same if all is well.")]
    markers: Annotated[int | None, msgspec.Meta(description="Tokens around and between the placeholders.")]
    tokens: Annotated[int | None, msgspec.Meta(description="Placeholders and markers of one image.")]
    images_per_prompt: Count
    tokens_per_prompt: Annotated[int | None, msgspec.Meta(description="Of that many images of this size.")]
    tiles: int | None
    arithmetic: Annotated[str, msgspec.Meta(description="How the placeholders come about.")]
    reason: Annotated[str, msgspec.Meta(description="Why there is no count; empty where there is one.")]
    settings: list[SettingV1]


class ArtifactV1(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked."""

    path: str
    kind: str
    format: str
    model_type: str | None
    architectures: list[str]
    saved_by: str | None
    parameters: Count
    bytes: Annotated[Count, msgspec.Meta(description="Bytes of all tensors.")]
    tensors: Count
    dtypes: Annotated[dict[str, int], msgspec.Meta(description="Element type to number of tensors.")]
    files: Annotated[list[str], msgspec.Meta(description="Weight files that load.")]
    parts: list[PartV1]
    remarks: list[str]
    images: list[ImageV1]


class TargetV1(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is to be served on."""

    gpu: str | None
    gpu_memory_bytes: int | None
    gpu_count: Count
    from_flags: Annotated[bool, msgspec.Meta(description="False when it is the machine at hand.")]
    engine: str | None
    engine_version: str | None
    dtype: str | None
    tensor_parallel_size: int
    gpu_memory_utilization: float | None
    max_model_len: Annotated[int | None, msgspec.Meta(description="Tokens; null where the engine decides.")]


class SummaryV1(msgspec.Struct, frozen=True, kw_only=True):
    """How many of what; checks are counted once, findings by severity."""

    error: Count
    warning: Count
    note: Count
    passed: Count
    skipped: Count
    crashed: Count
    suppressed: Count


class SkippedV1(msgspec.Struct, frozen=True, kw_only=True):
    """A check that did not look."""

    code: str
    reason: str
    kind: Literal["not_applicable", "could_not_check"]


class CrashedV1(msgspec.Struct, frozen=True, kw_only=True):
    """A check with a bug."""

    code: str
    error: str


class GpuV1(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator."""

    name: str
    total_bytes: int
    free_bytes: int
    capability: str | None
    reserved_bytes: Annotated[int, msgspec.Meta(description="Kept by driver and firmware, part of the total.")] = 0
    unified: Annotated[bool, msgspec.Meta(description="It shares the system's memory.")] = False


class MachineV1(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that the model is checked for: the one at hand, or that of `--env`."""

    platform: str
    python: str
    cpus: Count
    ram_bytes: int
    ram_available_bytes: int
    gpus: list[GpuV1]
    gpu_note: str | None
    driver: str | None
    cuda: str | None
    packages: dict[str, str]


class ReportV1(msgspec.Struct, frozen=True, kw_only=True):
    """A report of mmdoctor."""

    schema: Literal["mmdoctor/report/v1"]
    mmdoctor: Annotated[str, msgspec.Meta(description="Version of mmdoctor.")]
    artifact: ArtifactV1
    target: TargetV1
    depth: Literal["headers", "weights", "run"]
    verdict: Literal["pass", "warn", "fail", "error"]
    summary: SummaryV1
    findings: Annotated[list[FindingV1], msgspec.Meta(description="Worst first.")]
    passed: list[str]
    skipped: list[SkippedV1]
    crashed: list[CrashedV1]
    memory: Annotated[None, msgspec.Meta(description="The memory plan; null where none was made.")]
    machine: MachineV1 | None
    self_test: Annotated[
        SelfTestV1 | None, msgspec.Meta(description="What this machine made of the bundled models; null: not run.")
    ]
    seconds: Annotated[float, msgspec.Meta(ge=0)]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of this version, as shipped in `report/schema/report-v1.json`."""
    schema = msgspec.json.schema(ReportV1)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mmdoctor:report:v1",
        "title": SCHEMA,
    }
    return {**head, **schema}
