"""The head of the report: what the thing is, from the facts that a run has."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from mmdoctor.engine import Crashed, Engine, ProviderFailed
from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.image_tokens import ImagePrice, ImagePrices, ImageTokenCounts
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.parts import Description, PartDetails, Parts, Role
from mmdoctor.facts.quantisation import Adapter
from mmdoctor.facts.source import FileKind, Source
from mmdoctor.report.model import Artifact, ImageCost, PartSummary
from mmdoctor.wording import counted

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

_USUAL_IMAGE = (1024, 768)
"""Pixels, width and height, of the image whose price in tokens is told."""
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
    prices = known.get(ImagePrices)
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
        remarks=tuple(_remarks(files, checkpoint, None if prices and prices.prices else known.get(ImageTokenCounts))),
        images=tuple(_cost(price, prices.per_prompt) for price in prices.prices) if prices else (),
    )


def _cost(price: ImagePrice, per_prompt: int) -> ImageCost:
    count = price.count
    if count is None:
        return ImageCost(width=price.width, height=price.height, per_prompt=per_prompt, reason=price.reason)
    placeholders, features = count.placeholders, count.features
    used = {(u.what, u.at): u for u in (*placeholders.used, *features.used)}
    return ImageCost(
        width=price.width,
        height=price.height,
        per_prompt=per_prompt,
        placeholders=placeholders.count,
        features=features.count,
        markers=price.markers,
        tiles=count.pixels.tiles,
        arithmetic=placeholders.arithmetic,
        reason=placeholders.arithmetic if placeholders.count is None else "",
        settings=tuple(used.values()),
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
    description = known.get(Description)
    listed = description.parts if description is not None else tuple(PartDetails(part=part) for part in parts.parts)
    ordered = sorted(listed, key=lambda d: (list(Role).index(d.part.role), -d.part.nbytes))
    return tuple(
        PartSummary(
            role=found.part.role,
            name=found.part.prefix.rstrip("."),
            parameters=found.part.parameters,
            nbytes=found.part.nbytes,
            dtypes=found.part.dtypes,
            layers=found.part.layers,
            details=found.numbers,
        )
        for found in ordered
    )


def _remarks(
    files: Sequence[WeightFile], checkpoint: Checkpoint | None, images: ImageTokenCounts | None
) -> Iterator[str]:
    count = images.of(*_USUAL_IMAGE) if images else None
    if count is not None and count.agree and count.features.count is not None:
        width, height = _USUAL_IMAGE
        yield f"a {width}x{height} image is {counted(count.features.count, 'token')}"
    yield from dict.fromkeys(f.note for f in files if f.note)
    if checkpoint is not None and checkpoint.ignored:
        names = ", ".join(checkpoint.ignored[:3]) + (" ..." if len(checkpoint.ignored) > 3 else "")
        yield f"left alone by loaders: {names}"
