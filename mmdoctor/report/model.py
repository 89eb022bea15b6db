"""The report: all that a run came to, as plain values. Renderers see this and nothing else."""

from collections.abc import Mapping

import msgspec

from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.machine import Machine, Target
from mmdoctor.facts.parts import Role
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.finding import Finding, Severity


class PartSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the model, for the report's head."""

    role: Role
    name: str
    """Name prefix of its tensors, without the trailing dot."""
    parameters: int
    nbytes: int
    dtypes: Mapping[str, int] = {}
    """dtype name to bytes."""
    layers: int | None = None
    details: Mapping[str, int] = {}
    """Derived numbers in the field's terms: `heads`, `kv_heads`, `head_dim`, `patch`, `image`, `merge` ..."""


class ImageCost(msgspec.Struct, frozen=True, kw_only=True):
    """What an image of one size costs."""

    width: int
    height: int
    per_prompt: int = 1
    """Images of one prompt."""
    placeholders: int | None = None
    """Tokens that the processor reserves for the image; None where that cannot be told."""
    features: int | None = None
    """Vectors that the model makes of it."""
    markers: int | None = None
    """Tokens around and between the placeholders."""
    tiles: int | None = None
    arithmetic: str = ""
    """How the placeholders come about."""
    reason: str = ""
    """Why there is no count."""
    settings: tuple[Used, ...] = ()
    """The values that it comes from."""

    @property
    def tokens(self) -> int | None:
        """Placeholders and, as far as they are known, markers of one image."""
        return None if self.placeholders is None else self.placeholders + (self.markers or 0)

    @property
    def tokens_per_prompt(self) -> int | None:
        """The same of all images of a prompt."""
        return None if self.tokens is None else self.tokens * self.per_prompt


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked."""

    path: str
    """As the user gave it; of the bundled model `reference model`."""
    kind: str
    """One phrase: `Hugging Face folder`, `PyTorch training checkpoint`, `GGUF`, `adapter` ..."""
    format: str
    """Format of the weights: `safetensors`, `torch zip`, ...; `none` without weights."""
    model_type: str | None = None
    architectures: tuple[str, ...] = ()
    saved_by: str | None = None
    """Library and version that saved it, such as `transformers 5.2.0`."""
    parameters: int = 0
    nbytes: int = 0
    """Bytes of all tensors."""
    tensors: int = 0
    dtypes: Mapping[str, int] = {}
    """dtype name to number of tensors."""
    files: tuple[str, ...] = ()
    """Weight files that load."""
    parts: tuple[PartSummary, ...] = ()
    remarks: tuple[str, ...] = ()
    """Plain sentences about the artefact: the token cost of an image, what a recognised format needs."""
    images: tuple[ImageCost, ...] = ()
    """What the images cost that the user asks about."""


class SkippedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check that did not look, and why."""

    code: str
    reason: str
    kind: str
    """`not_applicable` or `could_not_check`."""


class CrashedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check with a bug."""

    code: str
    error: str
    traceback: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one run."""

    version: str
    """mmdoctor's version."""
    artifact: Artifact
    target: Target
    depth: str
    findings: tuple[Finding, ...] = ()
    """Worst first, then by code and place; suppressed ones left out."""
    passed: tuple[str, ...] = ()
    """Codes of rules that looked and found nothing."""
    skipped: tuple[SkippedCheck, ...] = ()
    crashed: tuple[CrashedCheck, ...] = ()
    suppressed: int = 0
    """Findings that the configuration hides."""
    machine: Machine | None = None
    self_test: SelfTest | None = None
    """What this machine made of the bundled models; None where they were not run."""
    seconds: float = 0.0

    def count(self, severity: Severity) -> int:
        """Findings of one severity."""
        return sum(f.severity is severity for f in self.findings)

    @property
    def could_not_check(self) -> tuple[SkippedCheck, ...]:
        """The checks that apply but could not look."""
        return tuple(s for s in self.skipped if s.kind == "could_not_check")

    @property
    def not_applicable(self) -> tuple[SkippedCheck, ...]:
        """The checks that this artefact has no need of."""
        return tuple(s for s in self.skipped if s.kind == "not_applicable")

    @property
    def verdict(self) -> str:
        """`error` (a check crashed or none could look), `fail`, `warn` or `pass`."""
        if self.crashed or not (self.passed or self.findings):
            return "error"
        if self.count(Severity.ERROR):
            return "fail"
        return "warn" if self.count(Severity.WARNING) else "pass"
