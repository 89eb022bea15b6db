"""The head of the report: what the thing is, from the facts that a run has."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from mmdoctor.engine import Crashed, Engine, ProviderFailed
from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.model import AudioModel, ModelConfig, TextModel, VisionModel
from mmdoctor.facts.parts import Part, Parts, Role
from mmdoctor.facts.quantisation import Adapter
from mmdoctor.facts.source import FileKind, Source
from mmdoctor.location import Reading
from mmdoctor.report.model import Artifact, PartSummary

T = TypeVar("T")

_SINGLE = {
    FileKind.TORCH_ZIP: "PyTorch state dict",
    FileKind.TORCH_LEGACY: "PyTorch state dict (legacy format)",
    FileKind.TORCHSCRIPT: "TorchScript archive",
    FileKind.TORCH_EXPORT: "torch.export archive",
    FileKind.TORCH_PACKAGE: "torch.package archive",
    FileKind.CTRANSLATE2: "CTranslate2 model",
    FileKind.ONNX: "ONNX model",
    FileKind.TFLITE: "TFLite model",
    FileKind.TEXT: "text file",
}

_STATE_DICTS = frozenset({FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY})
_TRANSFORMERS = frozenset({FileKind.SAFETENSORS, FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY, FileKind.UNKNOWN})
"""Kinds that transformers loads from a folder, and what may have been one of them."""


class Known:
    """The facts of a run for the report itself: what cannot be had is left out, a provider's bug is remembered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.crashes: list[Crashed] = []

    def get(self, kind: type[T]) -> T | None:
        """The fact, or None."""
        try:
            return self._engine.fact_or_none(kind)
        except ProviderFailed as failure:
            self.crashes.append(failure.crash)
            return None


def artifact(known: Known, source: Source, path: str) -> Artifact:
    """What was checked, with whatever could be read of it."""
    checkpoint = known.get(Checkpoint)
    config = known.get(ModelConfig)
    files = checkpoint.files if checkpoint else ()
    return Artifact(
        path=path,
        kind=_kind(source, files, config, known.get(Adapter)),
        format=", ".join(dict.fromkeys(f.kind.value for f in files)) or "none",
        model_type=config.model_type if config else None,
        architectures=config.architectures if config else (),
        saved_by=_saved_by(config),
        parameters=checkpoint.parameters if checkpoint else 0,
        nbytes=checkpoint.nbytes if checkpoint else 0,
        tensors=len(checkpoint.tensors) if checkpoint else 0,
        dtypes=dict(Counter(t.dtype for t in checkpoint.tensors.values()).most_common()) if checkpoint else {},
        files=tuple(f.path for f in files),
        parts=_parts(known),
        remarks=tuple(_remarks(files, checkpoint)),
    )


def _kind(source: Source, files: Sequence[WeightFile], config: ModelConfig | None, adapter: Adapter | None) -> str:
    if source.bundled:
        return "bundled reference model"
    if adapter is not None and adapter.alone:
        return "adapter"
    if source.single is None:
        if config is not None and (not files or files[0].kind in _TRANSFORMERS):
            return "Hugging Face folder"
        if len(files) == 1:
            return f"{_kind_of_file(files[0])} in a folder"
        return f"folder with {len(files)} weight files" if files else "folder without weights"
    if not files:
        entry = source.entry(source.single)
        return entry.kind.value if entry else "file"
    return _kind_of_file(files[0])


def _kind_of_file(file: WeightFile) -> str:
    program = file.program
    if file.kind in _SINGLE and file.kind not in _STATE_DICTS:
        return _SINGLE[file.kind]
    if program is not None and program.root == "instance":
        return "pickled PyTorch module"
    if any(g.role == "optimizer" for g in file.groups):
        return "PyTorch training checkpoint"
    if file.group:
        return "nested PyTorch checkpoint"
    return _SINGLE.get(file.kind, f"{file.kind.value} file")


def _saved_by(config: ModelConfig | None) -> str | None:
    if config is None or not config.transformers_version:
        return None
    return f"transformers {config.transformers_version}"


def _parts(known: Known) -> tuple[PartSummary, ...]:
    parts = known.get(Parts)
    if parts is None:
        return ()
    return tuple(
        PartSummary(
            role=part.role,
            name=part.prefix.rstrip("."),
            parameters=part.parameters,
            nbytes=part.nbytes,
            dtypes=part.dtypes,
            layers=part.layers,
            details=_details(part, known) if part is parts.largest(part.role) else {},
        )
        for part in parts.parts
    )


def _details(part: Part, known: Known) -> dict[str, int]:
    """What the configuration says about a part, in the field's terms."""
    said: dict[str, Reading[int] | None] = {}
    if part.role is Role.TEXT and (text := known.get(TextModel)):
        said = {
            "hidden": text.hidden_size,
            "heads": text.num_attention_heads,
            "kv_heads": text.num_key_value_heads,
            "head_dim": text.head_dim,
        }
    elif part.role is Role.VISION and (vision := known.get(VisionModel)):
        said = {
            "hidden": vision.hidden_size,
            "heads": vision.num_attention_heads,
            "patch": vision.patch_size,
            "image": vision.image_size,
            "merge": vision.spatial_merge_size,
        }
    elif part.role is Role.AUDIO and (audio := known.get(AudioModel)):
        said = {"hidden": audio.hidden_size, "heads": audio.num_attention_heads, "mel_bins": audio.num_mel_bins}
    return {name: reading.value for name, reading in said.items() if reading is not None}


def _remarks(files: Sequence[WeightFile], checkpoint: Checkpoint | None) -> Iterator[str]:
    yield from dict.fromkeys(f.note for f in files if f.note)
    if checkpoint is not None and checkpoint.ignored:
        names = ", ".join(checkpoint.ignored[:3]) + (" ..." if len(checkpoint.ignored) > 3 else "")
        yield f"left alone by loaders: {names}"
