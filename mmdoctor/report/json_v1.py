"""The report for programs, schema `mmdoctor/report/v1`."""

import json
import math
import re
from typing import Any

import msgspec

from mmdoctor.facts.machine import Machine, Target
from mmdoctor.finding import Change, Edit, Evidence, Finding, Removal, Renaming, Rewriting, Scalar, Severity
from mmdoctor.location import Location
from mmdoctor.report import self_test_v1
from mmdoctor.report.model import Artifact, ImageCost, PartSummary, Report
from mmdoctor.report.schema_v1 import (
    ArtifactV1,
    CrashedV1,
    EditV1,
    EvidenceV1,
    FindingV1,
    FixV1,
    GpuV1,
    ImageV1,
    LocationV1,
    MachineV1,
    PartV1,
    ReportV1,
    SettingV1,
    SkippedV1,
    SummaryV1,
    TargetV1,
)


def render(report: Report) -> str:
    """The report as JSON text, indented, ASCII only, closed by a newline."""
    return json.dumps(_safe(msgspec.to_builtins(of(report))), indent=2, allow_nan=False) + "\n"


def machine(value: Machine) -> MachineV1:
    """A machine as the report and `mmdoctor env` show it."""
    return MachineV1(
        platform=value.platform,
        python=value.python,
        cpus=value.cpus,
        ram_bytes=value.ram_bytes,
        ram_available_bytes=value.ram_available_bytes,
        gpus=[
            GpuV1(
                name=gpu.name,
                total_bytes=gpu.total_bytes,
                free_bytes=gpu.free_bytes,
                capability=".".join(map(str, gpu.capability)) if gpu.capability else None,
                reserved_bytes=gpu.reserved_bytes,
                unified=gpu.unified,
            )
            for gpu in value.gpus
        ],
        gpu_note=value.gpu_note,
        driver=value.driver,
        cuda=value.cuda,
        packages=dict(value.packages),
    )


def of(report: Report) -> ReportV1:
    """The report in the words of this version."""
    return ReportV1(
        schema="mmdoctor/report/v1",
        mmdoctor=report.version,
        artifact=_artifact(report.artifact),
        target=_target(report.target),
        depth=report.depth,  # type: ignore[arg-type]  # a value of Depth
        verdict=report.verdict,  # type: ignore[arg-type]  # one of the four words
        summary=SummaryV1(
            error=report.count(Severity.ERROR),
            warning=report.count(Severity.WARNING),
            note=report.count(Severity.NOTE),
            passed=len(report.passed),
            skipped=len(report.skipped),
            crashed=len(report.crashed),
            suppressed=report.suppressed,
        ),
        findings=[_finding(f) for f in report.findings],
        passed=list(report.passed),
        skipped=[SkippedV1(code=s.code, reason=s.reason, kind=s.kind) for s in report.skipped],  # type: ignore[arg-type]  # one of the two
        crashed=[CrashedV1(code=c.code, error=c.error) for c in report.crashed],
        memory=None,
        machine=machine(report.machine) if report.machine else None,
        self_test=self_test_v1.of(report.self_test) if report.self_test else None,
        seconds=round(report.seconds, 3),
    )


def _artifact(artifact: Artifact) -> ArtifactV1:
    return ArtifactV1(
        path=artifact.path,
        kind=artifact.kind,
        format=artifact.format,
        model_type=artifact.model_type,
        architectures=list(artifact.architectures),
        saved_by=artifact.saved_by,
        parameters=artifact.parameters,
        bytes=artifact.nbytes,
        tensors=artifact.tensors,
        dtypes=dict(artifact.dtypes),
        files=list(artifact.files),
        parts=[_part(part) for part in artifact.parts],
        remarks=list(artifact.remarks),
        images=[_image(cost) for cost in artifact.images],
    )


def _image(cost: ImageCost) -> ImageV1:
    return ImageV1(
        width=cost.width,
        height=cost.height,
        placeholders=cost.placeholders,
        features=cost.features,
        markers=cost.markers,
        tokens=cost.tokens,
        images_per_prompt=cost.per_prompt,
        tokens_per_prompt=cost.tokens_per_prompt,
        tiles=cost.tiles,
        arithmetic=cost.arithmetic,
        reason=cost.reason,
        settings=[
            SettingV1(what=u.what, value=_value(u.value), default_of=u.default_of, location=_location(u.at))
            for u in cost.settings
        ],
    )


def _part(part: PartSummary) -> PartV1:
    return PartV1(
        role=part.role.value,
        name=part.name,
        parameters=part.parameters,
        bytes=part.nbytes,
        dtypes=dict(part.dtypes),
        layers=part.layers,
        details=dict(part.details),
    )


def _target(target: Target) -> TargetV1:
    return TargetV1(
        gpu=target.gpu,
        gpu_memory_bytes=target.gpu_memory_bytes,
        gpu_count=target.gpu_count,
        from_flags=target.from_flags,
        engine=target.engine,
        engine_version=target.engine_version,
        dtype=target.dtype,
        tensor_parallel_size=target.tensor_parallel_size,
        gpu_memory_utilization=target.gpu_memory_utilization,
        max_model_len=target.max_model_len,
    )


def _finding(finding: Finding) -> FindingV1:
    return FindingV1(
        code=finding.code,
        name=finding.name,
        family=finding.family,
        severity=finding.severity.value,
        confidence=finding.confidence.value,
        message=finding.message,
        summary=finding.summary,
        location=_location(finding.location),
        evidence=[_evidence(e) for e in finding.evidence],
        fix=FixV1(text=finding.fix.text, edits=[_edit(e) for e in finding.fix.edits]) if finding.fix else None,
        fingerprint=finding.fingerprint,
    )


def _evidence(evidence: Evidence) -> EvidenceV1:
    return EvidenceV1(
        what=evidence.what,
        observed=_value(evidence.observed),
        expected=_value(evidence.expected),
        location=_location(evidence.at),
    )


def _value(value: Scalar) -> Scalar:
    """The value, as text where JSON readers have no number for it: NaN, infinities, more than 64 bits."""
    if isinstance(value, int) and value.bit_length() > 63:
        return str(value) if value.bit_length() <= 256 else f"an integer of {value.bit_length()} bits"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_LONGEST = 65_536
"""Characters of a text file that a report quotes whole."""


def _edit(change: Change) -> EditV1:
    match change:
        case Edit(file=file, pointer=pointer, value=value):
            plain = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
            return EditV1(action="set", file=file, pointer=pointer, value=plain)
        case Removal(file=file, pointer=pointer):
            return EditV1(action="remove", file=file, pointer=pointer)
        case Renaming(file=file, to=to):
            return EditV1(action="rename", file=file, to=to)
        case Rewriting(file=file, content=content):
            return EditV1(action="write", file=file, content=content if len(content) <= _LONGEST else None)


def _location(at: Location) -> LocationV1:
    return LocationV1(
        file=at.file, pointer=at.pointer, tensor=at.tensor, line=at.line, column=at.column, offset=at.offset
    )


_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 2**63 - 1
"""A count beyond it can only be a lie of a header, and would stop readers that have 64 bits."""


def _safe(value: Any) -> Any:
    """The value without what readers stumble over: lone surrogates are spelled out, counts end at 63 bits."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return max(-_LARGEST, min(value, _LARGEST))
    if isinstance(value, dict):
        return {_safe(k): _safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    return value
