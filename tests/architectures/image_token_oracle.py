"""The truth about image tokens: real processors and real tiny models, fed with real images."""

import functools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from mmdoctor.architectures.image_tokens import count_image_tokens
from mmdoctor.engine import Engine
from mmdoctor.facts.image_tokens import TokenCount
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import ImageProcessor, Processor
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source


def sizes(count: int, seed: int, *, most: int = 1400) -> Iterator[tuple[int, int]]:
    """(width, height) of images: the odd ones first, then drawn at random, small and large alike."""
    yield from (
        (336, 336),
        (1000, 600),
        (1, 1000),
        (1000, 1),
        (1, 1),
        (3, 2),
        (17, 900),
        (28, 28),
        (384, 383),
        (most, most),
    )
    draw = random.Random(seed)
    for _ in range(count - 10):
        yield int(2 ** draw.uniform(1, np.log2(most))), int(2 ** draw.uniform(1, np.log2(most)))


def facts(folder: Path) -> Engine:
    """mmdoctor's own reading of a folder."""
    return Engine(Providers(), {Source: open_source(folder)})


def counted(folder: Path, width: int, height: int) -> TokenCount:
    """What mmdoctor counts from the files alone."""
    engine = facts(folder)
    return count_image_tokens(
        engine.fact(MultimodalModel),
        engine.fact(VisionModel),
        engine.fact(ImageProcessor),
        engine.fact_or_none(Processor),
        width,
        height,
    )


_TELLING = frozenset({"image_grid_thw", "image_sizes", "image_attention_mask", "spatial_shapes"})
"""Inputs whose values, not only their shapes, decide how many vectors there are."""


class Truth:
    """A real processor and a real model."""

    def __init__(self, model: Any, processor: Any) -> None:
        import torch

        self._torch = torch
        self.model = model.eval() if model is not None else None
        self.processor = processor
        self.kind = model.config.model_type if model is not None else ""
        self._seen: dict[object, int] = {}

    def inputs(self, width: int, height: int) -> Mapping[str, Any]:
        """What the processor makes of an image of noise and a prompt with one placeholder."""
        from PIL import Image

        rng = np.random.default_rng(width * 7919 + height)
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        return self.processor(images=[image], text=[self.prompt()], return_tensors="pt")

    def prompt(self) -> str:
        """A text with the marker of one image, as the family's chat template writes it."""
        name = type(self.processor).__name__
        if name in ("Blip2Processor", "InstructBlipProcessor", "Florence2Processor", "Kosmos2Processor"):
            return "what is this"
        if name == "InternVLProcessor":
            return f"{self.processor.image_token}\nwhat"
        marker = self.processor.boi_token if name == "Gemma3Processor" else self.processor.image_token
        return f"{marker} what"

    def placeholders(self, inputs: Mapping[str, Any]) -> int:
        """Placeholders in the prompt: ids that the model scatters features to."""
        if "image_embeds_position_mask" in inputs:
            return int(inputs["image_embeds_position_mask"].sum())
        config = self.model.config
        if self.kind == "phi4_multimodal":
            config = config.vision_config
        marker = getattr(config, "image_token_id", None)
        marker = getattr(config, "image_token_index", None) if marker is None else marker
        return int((inputs["input_ids"] == marker).sum())

    def features(self, inputs: Mapping[str, Any], *, run: bool = True) -> int | None:
        """Vectors that the model makes of the image; None where it is not run and has not seen such tensors yet."""
        names = ("pixel_values", "image_grid_thw", "image_sizes", "pixel_attention_mask", "batch_num_images")
        names += ("qformer_input_ids", "qformer_attention_mask", "spatial_shapes", "high_res_pixel_values")
        if self.kind == "phi4_multimodal":
            names = ("input_ids", "attention_mask", "image_pixel_values", "image_sizes", "image_attention_mask")
        given = {n: inputs[n] for n in names if n in inputs}
        if self.kind == "video_llava":
            given = {"pixel_values": inputs.get("pixel_values_images", inputs.get("pixel_values"))}
        # The number depends on shapes and on the sizes that go along, not on the noise: each combination runs once.
        key = repr([(n, v.shape, v.tolist() if n in _TELLING else None) for n, v in given.items()])
        if key not in self._seen and run:
            self._seen[key] = self._run(given)
        return self._seen.get(key)

    def _run(self, given: Mapping[str, Any]) -> int:
        inner = self.model if self.kind in ("blip-2", "instructblip", "llama4") else self.model.base_model
        with self._torch.no_grad():
            if self.kind == "mllama":
                return 1  # the text attends to the image; no vectors take the place of tokens
            if self.kind == "llama4":
                hidden = inner.get_image_features(given["pixel_values"].float()).last_hidden_state
                return self.model.multi_modal_projector(hidden.reshape(-1, hidden.shape[-1])).shape[0]
            if self.kind == "phi4_multimodal":
                return self._scattered(given)
            if self.kind == "kosmos-2":  # only the class without a head has this function, on the same parts
                function = functools.partial(transformers.Kosmos2Model.get_image_features, inner)
            else:
                function = inner.get_image_features
            pooled = function(**given).pooler_output
        tensors = pooled if isinstance(pooled, (list, tuple)) else [pooled]
        return sum(t.numel() // t.shape[-1] for t in tensors)

    def _scattered(self, given: Mapping[str, Any]) -> int:
        """The model puts its vectors into the text itself, and refuses another number of places."""
        self.model(**given)
        return int((given["input_ids"] == self.model.config.vision_config.image_token_id).sum())
