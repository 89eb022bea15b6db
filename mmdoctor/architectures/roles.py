"""Which part of the model each tensor belongs to: first by the words in its name, then by what stands beside it."""

import re
from collections.abc import Iterable, Mapping

from mmdoctor.architectures.names import role_by_name, strip_wrappers
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.parts import Role

_DIGITS = re.compile(r"(?<![A-Za-z])\d+")
"""Indices; digits that belong to a word, as in `conv1`, stay."""

TOKEN_TABLE = re.compile(
    r"(?:^|[._])(?:embed_tokens|wte|word_embeddings?|token_embeddings?|tok_embeddings|token_embd|shared|embed_in|tokens_embed"
    r"|embedding\.word_embeddings|transformer\.wte|word_embed_proj)(?:\.weight|\.embedding)?$"
)
"""Names of token embedding tables."""

_PATCHES = re.compile(
    r"patch|(?:^|\.)cls_token$|(?:^|\.)conv1\.weight$|(?:^|\.)stem|embeddings\.projection|features\.0\."
)
_WAVEFORM = re.compile(r"conv_layers|(?:^|\.)conv1\.weight$|pos_conv|depth_?(?:wise)?_?conv")
"""Convolutions over time, three-dimensional."""
_SPECTROGRAM = re.compile(r"mel_|melspec|stft|filterbank|spectrogram|subsampl|conv2d\d|pre_encode\.")
"""Convolutions over time and frequency from one channel, and what makes the frequencies."""
_TEXT_LAYERS = re.compile(
    r"(?:^|\.)(?:layers\.\d+\.(?:self_attn|attention|mlp|input_layernorm|block_sparse_moe|feed_forward|mixer|linear_attn)"
    r"|h\.\d+\.|blk\.\d+\.|layer\.\d+\.(?:attention|SelfAttention|intermediate|output)|block\.\d+\.layer\.|resblocks\.\d+\.)"
)
_IMAGE_LAYERS = re.compile(r"(?:^|\.)(?:blocks\.\d+\.(?:attn|norm1|mlp)|layer[1-4]\.\d+\.conv|features\.\d+\.)")

Assignment = Mapping[str, tuple[Role, str]]
"""Tensor name to its role and the stripped name up to the word that tells it."""


def assign_roles(tensors: Mapping[str, Tensor]) -> Assignment:
    """The role of every tensor."""
    by_template: dict[str, tuple[Role, str] | None] = {}
    assigned: dict[str, tuple[Role, str]] = {}
    unmarked: dict[str, str] = {}
    for name in tensors:
        template = _DIGITS.sub("0", name)
        if template not in by_template:
            by_template[template] = role_by_name(strip_wrappers(template))
        found = by_template[template]
        if found is None:
            unmarked[name] = template
        else:
            assigned[name] = found
    if unmarked:
        assigned |= _by_company(tensors, unmarked, {role for role, _ in assigned.values()})
    return assigned


def _by_company(
    tensors: Mapping[str, Tensor], unmarked: Mapping[str, str], others: set[Role]
) -> dict[str, tuple[Role, str]]:
    """Roles of tensors whose names say nothing by themselves, group by group."""
    words = {template: strip_wrappers(template).split(".") for template in set(unmarked.values())}
    halves = {half: _half_prefix(words.values(), half) for half in ("encoder", "decoder")}
    split = halves["encoder"] is not None and halves["encoder"] == halves["decoder"]
    half_of = {
        template: next((_HALVES[w] for w in listed[:3] if w in _HALVES), "") if split else ""
        for template, listed in words.items()
    }
    groups: dict[str, dict[str, str]] = {}
    for name, template in unmarked.items():
        groups.setdefault(half_of[template], {})[name] = template
    written = any(TOKEN_TABLE.search(template) for template in words)
    found: dict[str, tuple[Role, str]] = {}
    for half in sorted(groups, key=lambda h: h == "decoder"):  # what the encoder is decides what a decoder may be
        made = _group_roles(tensors, groups[half], half, others if not written else others - {Role.VISION})
        others = others | {role for role, _ in made.values()}
        found |= made
    return found


_HALVES = {"encoder": "encoder", "decoder": "decoder", "transf_decoder": "decoder"}
"""Words for the halves of an encoder-decoder; NeMo calls the second one `transf_decoder`."""


def _half_prefix(names: Iterable[list[str]], half: str) -> str | None:
    """What stands before the word `encoder` or `decoder` where it is among the first words of a name."""
    for words in sorted(names):
        at = next((i for i, word in enumerate(words[:2]) if _HALVES.get(word) == half), None)
        if at is not None:
            return ".".join(words[:at])
    return None


def _group_roles(
    tensors: Mapping[str, Tensor], members: Mapping[str, str], half: str, others: set[Role]
) -> dict[str, tuple[Role, str]]:
    examples: dict[str, Tensor] = {}
    for name, template in members.items():
        examples.setdefault(template, tensors[name])
    tables = {t for t, tensor in examples.items() if TOKEN_TABLE.search(t) and len(tensor.shape) <= 2}
    patches = {t for t, tensor in examples.items() if _is_patch_kernel(t, tensor)}
    sounds = {t for t, tensor in examples.items() if _is_sound_kernel(t, tensor)}
    if tables and patches:
        return {name: (_single_stream_role(template), "") for name, template in members.items()}
    if half == "decoder" and (tables or Role.VISION not in others):
        role = Role.TEXT
    elif patches - sounds:
        role = Role.VISION
    elif tables:
        role = Role.TEXT
    elif sounds:
        role = Role.AUDIO
    else:
        role = _likely_role(examples, others)
    return dict.fromkeys(members, (role, half))


def _is_patch_kernel(template: str, tensor: Tensor) -> bool:
    """Whether a convolution reads pixels: 4-D or 5-D from one or three channels, or a linear one that says `patch`."""
    if len(tensor.shape) in (4, 5):
        return tensor.shape[1] in (1, 3, 4) and (tensor.shape[1] != 1 or "patch" in template)
    return (
        len(tensor.shape) == 2 and bool(re.search(r"patch_embed|patch_projection", template)) and "norm" not in template
    )


def _is_sound_kernel(template: str, tensor: Tensor) -> bool:
    """Whether a convolution reads sound: over time, or over time and frequency from one channel."""
    if len(tensor.shape) == 3:
        return bool(_WAVEFORM.search(template) or _SPECTROGRAM.search(template))
    return bool(_SPECTROGRAM.search(template)) and (len(tensor.shape) != 4 or tensor.shape[1] == 1)


def _single_stream_role(template: str) -> Role:
    """Role in an encoder that reads patches and words together."""
    if re.search(r"text_embeddings|word_embeddings|token_type|LayerNorm|position_embeddings\.weight", template) and (
        "encoder" not in template
    ):
        return Role.TEXT
    if _PATCHES.search(template) or re.search(r"(?:^|\.)(?:pos_embed|embeddings\.position_embeddings)$", template):
        return Role.VISION
    return Role.FUSION


def _likely_role(examples: Mapping[str, Tensor], others: set[Role]) -> Role:
    """Role of layers without embeddings beside them, such as one shard of a larger model."""
    if any(_TEXT_LAYERS.search(template) for template in examples):
        return Role.TEXT
    if any(_IMAGE_LAYERS.search(template) for template in examples):
        return Role.VISION
    if Role.VISION in others and Role.TEXT not in others and any(re.search(r"norm|ln_f", t) for t in examples):
        return Role.TEXT
    return Role.OTHER
