"""A bundled folder: what its files hold, and the model made from them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmdoctor.errors import MMDoctorError
from mmdoctor.facts.reference import TensorMismatch
from mmdoctor.reference import WEIGHTS, processor, tensorfile, tokenizer
from mmdoctor.reference.config import DecoderConfig, FusionConfig, FusionKind, ReferenceConfig, TextConfig, VisionConfig
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.seeding import seeded_state, storable
from mmdoctor.reference.world import ANSWERS, IMAGE_TOKEN, VOCABULARY

CHAT_TEMPLATE = """\
{%- for message in messages %}
    {%- if message['role'] == 'assistant' %}{{ '[BOS]' }}{% endif %}
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}{{ '<image>' }}{% endif %}
            {%- if part['type'] == 'text' %}{{ part['text'] }}{% endif %}
        {%- endfor %}
    {%- endif %}
    {%- if message['role'] == 'assistant' %}{{ '[EOS]' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '[BOS]' }}{% endif %}
"""


def default_config(kind: FusionKind = "hybrid") -> ReferenceConfig:
    """The bundled model of that fusion: 48x48 pictures, patch 8, width 128."""
    words = len(VOCABULARY)
    hybrid = ReferenceConfig(
        vision_config=VisionConfig(),
        text_config=TextConfig(vocab_size=words),
        fusion_config=FusionConfig(),
        decoder_config=DecoderConfig(vocab_size=words),
        id2label={str(index): answer for index, answer in enumerate(ANSWERS)},
        image_token_id=VOCABULARY[IMAGE_TOKEN],
        pad_token_id=VOCABULARY["[PAD]"],
        bos_token_id=VOCABULARY["[BOS]"],
        eos_token_id=VOCABULARY["[EOS]"],
        cls_token_id=VOCABULARY["[CLS]"],
        sep_token_id=VOCABULARY["[SEP]"],
        mask_token_id=VOCABULARY["[MASK]"],
        decoder_start_token_id=VOCABULARY["[BOS]"],
    )
    return hybrid if kind == "hybrid" else hybrid.with_fusion(kind)


def empty_model(config: ReferenceConfig) -> ReferenceModel:
    """The model's structure: names and shapes, numbers without a meaning. The global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        return ReferenceModel(config).eval().requires_grad_(requires_grad=False)


def folder_files(config: ReferenceConfig, tensors: Mapping[str, Tensor] | None = None) -> dict[str, bytes]:
    """Every file of the folder, by name.

    Args:
        config: what `config.json` holds.
        tensors: a state dict of the model, rounded to what bfloat16 and float16 both hold; random numbers from the
            seed when left out.
    """
    state = seeded_state(empty_model(config)) if tensors is None else {n: storable(t) for n, t in tensors.items()}
    generation = {
        "bos_token_id": config.bos_token_id,
        "decoder_start_token_id": config.decoder_start_token_id,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
        "do_sample": False,
        "max_new_tokens": config.decoder_config.max_position_embeddings - 1,
    }
    documents = {
        "config.json": config.to_dict(),
        "generation_config.json": generation,
        "preprocessor_config.json": processor.SETTINGS,
        **tokenizer.files(),
    }
    return {
        **{name: _json(content) for name, content in documents.items()},
        "chat_template.jinja": CHAT_TEMPLATE.encode(),
        "model.safetensors": tensorfile.to_bytes(state, {"format": "pt"}),
    }


def write_folder(folder: Path, config: ReferenceConfig, tensors: Mapping[str, Tensor] | None = None) -> None:
    """Write every file of `folder_files` over what is there; `golden.record` notes their digests and outputs anew."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in folder_files(config, tensors).items():
        (folder / name).write_bytes(content)


def read_config(folder: Path) -> ReferenceConfig:
    """Raises `MMDoctorError` when the folder's `config.json` is missing or not this model's."""
    file = folder / "config.json"
    try:
        return ReferenceConfig.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise MMDoctorError(f"{file} cannot be used: {error}; install mmdoctor again") from None


def differences(
    model: ReferenceModel, tensors: dict[str, Tensor]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[TensorMismatch, ...]]:
    """Names that are missing, names that are not expected, and tensors of another shape."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    mismatched = tuple(
        TensorMismatch(name=name, expected=shape, observed=tuple(tensors[name].shape))
        for name, shape in sorted(expected.items())
        if name in tensors and tuple(tensors[name].shape) != shape
    )
    return (
        tuple(sorted(expected.keys() - tensors.keys())),
        tuple(sorted(tensors.keys() - expected.keys())),
        mismatched,
    )


def load_model(folder: Path = WEIGHTS) -> ReferenceModel:
    """The folder's model in float32 on the CPU, for inference.

    Raises:
        MMDoctorError: the folder's files are missing, damaged, or do not fit together.
    """
    model = empty_model(read_config(folder))
    tensors = tensorfile.read_tensors(folder / "model.safetensors")
    missing, unexpected, mismatched = differences(model, tensors)
    if missing or unexpected or mismatched:
        names = [*missing, *unexpected, *(tensor.name for tensor in mismatched)]
        raise MMDoctorError(
            f"{folder / 'model.safetensors'} does not fit config.json: {len(missing)} tensors missing, "
            f"{len(unexpected)} not expected, {len(mismatched)} of another shape (first: {names[0]}); "
            "install mmdoctor again"
        )
    return fill(model, tensors)


def fill(model: ReferenceModel, tensors: dict[str, Tensor]) -> ReferenceModel:
    """Put the weights into the structure, in float32."""
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in tensors.items()}, assign=True)
    return model.requires_grad_(requires_grad=False)


def sha256(data: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
