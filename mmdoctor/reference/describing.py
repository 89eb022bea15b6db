"""The model's parts, with the shapes that one forward pass has in and out of each."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmdoctor.architectures.grouping import index_set
from mmdoctor.facts.reference import Anatomy, PartAnatomy, Shape
from mmdoctor.reference import sample, weights_of
from mmdoctor.reference.attention import Attention
from mmdoctor.reference.bundle import load_model
from mmdoctor.reference.config import FusionKind, ReferenceConfig
from mmdoctor.reference.fusion import CrossBlock, EarlyFusion, Fusion, HybridFusion, LateFusion
from mmdoctor.reference.layers import FeedForward
from mmdoctor.reference.processor import Processor


class _Said(NamedTuple):
    """What the code cannot say of a part by itself."""

    what: str
    papers: tuple[tuple[str, str], ...] = ()


_VASWANI = ("Vaswani et al. 2017, Transformer", "https://arxiv.org/abs/1706.03762")
_DEVLIN = ("Devlin et al. 2018, BERT", "https://arxiv.org/abs/1810.04805")
_SIMMIM = ("Xie et al. 2021, SimMIM", "https://arxiv.org/abs/2111.09886")
_ALBEF = ("Li et al. 2021, ALBEF", "https://arxiv.org/abs/2107.07651")

_SAID = {
    "vision_model": _Said(
        "Vision Transformer: a picture to one vector a patch, the whole picture's first",
        (("Dosovitskiy et al. 2020, ViT", "https://arxiv.org/abs/2010.11929"),),
    ),
    "vision_model.embeddings": _Said("patches, class token, positions; a vector for masked patches"),
    "vision_model.encoder.layers": _Said(
        "multi-head self-attention and a feed-forward part, normalised first", (_VASWANI,)
    ),
    "text_model": _Said("BERT: a text to one vector a token, the whole text's first", (_DEVLIN,)),
    "text_model.embeddings": _Said("words, positions, segments"),
    "text_model.encoder.layers": _Said("the same, each sum normalised behind its part"),
    "multi_modal_projector": _Said(
        "linear maps of either encoder's features to the width of the fusion",
        (("Liu et al. 2023, LLaVA", "https://arxiv.org/abs/2304.08485"),),
    ),
    "unified": _Said(
        "one vector a sample, in one space, from a picture, a text, or both",
        (("Radford et al. 2021, CLIP", "https://arxiv.org/abs/2103.00020"),),
    ),
    "heads.answer": _Said("answers to a question about the picture", (("Antol et al. 2015, VQA", "https://arxiv.org/abs/1505.00468"),)),
    "heads.box": _Said("the box of the named object", (("Carion et al. 2020, DETR", "https://arxiv.org/abs/2005.12872"),)),
    "heads.matching": _Said("whether the text is about the picture", (_ALBEF,)),
    "heads.masked_token": _Said("the words behind [MASK]", (_DEVLIN,)),
    "heads.masked_patch": _Said("the pixels of masked patches", (_SIMMIM,)),
    "heads.next_sentence": _Said("whether the second sentence follows the first", (_DEVLIN,)),
    "decoder": _Said(
        "Transformer decoder: writes a text about what was fused, with a KV cache",
        (_VASWANI, ("Pope et al. 2022, KV cache", "https://arxiv.org/abs/2211.05102")),
    ),
    "decoder.layers": _Said(
        "causal self-attention, cross-attention, both with grouped queries",
        (("Ainslie et al. 2023, GQA", "https://arxiv.org/abs/2305.13245"),),
    ),
    "decoder.embeddings": _Said("words, positions"),
    "lm_head": _Said("the next word of the text that is written"),
}  # fmt: skip

_FUSIONS: dict[type[Fusion], _Said] = {
    EarlyFusion: _Said(
        "early fusion: one encoder over patches and words together",
        (("Kim et al. 2021, ViLT", "https://arxiv.org/abs/2102.03334"),),
    ),
    LateFusion: _Said(
        "late fusion: the two vectors that speak for picture and text, through one network",
        (("Antol et al. 2015, VQA", "https://arxiv.org/abs/1505.00468"),),
    ),
    HybridFusion: _Said(
        "hybrid fusion: cross-attention, words to patches and patches to words",
        (("Lu et al. 2019, ViLBERT", "https://arxiv.org/abs/1908.02265"),),
    ),
}

_OPENED = ("encoder", "heads")
"""Modules of which the parts are shown in their place, as they only hold them together."""
_INSIDE = Attention | FeedForward | CrossBlock
"""What is shown inside a layer."""


def describe(kind: FusionKind = "hybrid") -> Anatomy:
    """Run the bundled model of that fusion once, and say what went where.

    Raises:
        MMDoctorError: the bundled files are missing or damaged.
    """
    folder = weights_of(kind)
    model = load_model(folder)
    patches = model.config.vision_config.num_patches
    batch = _without_padding(sample.batch(Processor.from_folder(folder), patches).samples([0]), model.config)
    watch = _Watch(model)
    with torch.inference_mode():
        model(*batch)
    watch.close()
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return Anatomy(
        fusion=kind,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        dtype=model.config.dtype,
        nbytes=sum(file.stat().st_size for file in files),
        folder=str(folder),
        files=tuple(file.name for file in files),
        text=" ".join((sample.TEXTS[0],) if isinstance(sample.TEXTS[0], str) else sample.TEXTS[0]),
        written=f"[BOS] {sample.CAPTIONS[0]}",
        parts=tuple(_parts("", model, watch)),
    )


def _without_padding(one: sample.Batch, config: ReferenceConfig) -> sample.Batch:
    tokens = int(one.attention_mask.sum())
    written = int((one.decoder_input_ids != config.pad_token_id).sum())
    return one._replace(
        input_ids=one.input_ids[:, :tokens],
        attention_mask=one.attention_mask[:, :tokens],
        token_type_ids=one.token_type_ids[:, :tokens],
        decoder_input_ids=one.decoder_input_ids[:, :written],
    )


class _Watch:
    """Notes the shapes of the tensors into and out of every module, in the first call of each."""

    def __init__(self, model: nn.Module) -> None:
        self.reads: dict[str, tuple[Shape, ...]] = {}
        self.writes: dict[str, tuple[Shape, ...]] = {}
        self._hooks = [
            module.register_forward_hook(self._note(name), with_kwargs=True) for name, module in model.named_modules()
        ]

    def close(self) -> None:
        """Take no more notes."""
        for hook in self._hooks:
            hook.remove()

    def reads_of(self, name: str, module: nn.Module) -> tuple[Shape, ...]:
        """What went in; of attention what asked and what was asked, as it may be called without its own `forward`."""
        if not isinstance(module, Attention):
            return self.reads.get(name, ())
        asking, asked = self.reads[f"{name}.q_proj"], self.reads[f"{name}.k_proj"]
        return asking if asking == asked else (*asking, *asked)

    def writes_of(self, name: str, module: nn.Module) -> tuple[Shape, ...]:
        """What came out."""
        return self.writes.get(f"{name}.out_proj" if isinstance(module, Attention) else name, ())

    def _note(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
            self.reads.setdefault(name, tuple(shape for key, value in given.items() for shape in _shapes(key, value)))
            self.writes.setdefault(name, tuple(_shapes("", result)))

        return hook


def _shapes(name: str, value: Any) -> Iterator[Shape]:
    if isinstance(value, Tensor):
        if "mask" not in name and "segments" not in name:
            suffix = name.rpartition("_")[2]
            yield Shape(name=name if _dimensions(suffix) == value.dim() else "", sizes=tuple(value.shape))
    elif isinstance(value, tuple):
        names = getattr(value, "_fields", [""] * len(value))
        for key, part in zip(names, value, strict=True):
            yield from _shapes(key, part)


def _dimensions(suffix: str) -> int:
    """How many dimensions a suffix such as `BTD` or `B4` names; -1 where it is none."""
    return len(suffix) if suffix[:1].isupper() and suffix.isalnum() else -1


def _parts(name: str, module: nn.Module, watch: _Watch) -> Iterator[PartAnatomy]:
    """The parts of a module that are worth a line, in the order of the code."""
    for key, child in module.named_children():
        path = f"{name}.{key}".removeprefix(".")
        if isinstance(child, nn.ModuleList):
            for layer in list(child)[:1]:
                shown = f"{path}.{index_set(range(len(child)))}"
                yield _part(f"{path}.0", layer, watch, module=shown, count=len(child))
        elif key in _OPENED:
            yield from _parts(path, child, watch)
        elif path.count(".") <= 1 or isinstance(child, _INSIDE):
            yield _part(path, child, watch)


def _part(path: str, part: nn.Module, watch: _Watch, *, module: str = "", count: int = 1) -> PartAnatomy:
    said = _FUSIONS[type(part)] if isinstance(part, Fusion) else _SAID.get(path.removesuffix(".0"), _Said(""))
    whole = isinstance(part, Attention | FeedForward) or path.startswith("heads.")
    return PartAnatomy(
        module=module or path,
        what=said.what,
        sizes=_sizes(part),
        papers=said.papers,
        parameters=sum(parameter.numel() for parameter in part.parameters()),
        count=count,
        reads=watch.reads_of(path, part),
        writes=watch.writes_of(path, part),
        parts=() if whole else tuple(_parts(path, part, watch)),
    )


def _sizes(module: nn.Module) -> str:
    if isinstance(module, Attention):
        shared = "" if module.num_key_value_heads == module.num_heads else f", {module.num_key_value_heads} KV"
        return f"{module.num_heads} heads{shared}"
    return ""
