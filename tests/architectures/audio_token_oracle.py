"""The truth about audio tokens: real processors and real tiny models, fed with real sounds."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdoctor.architectures.audio_tokens import count_audio_tokens
from mmdoctor.facts.audio_tokens import AudioTokenCount
from mmdoctor.facts.model import AudioModel, MultimodalModel
from mmdoctor.facts.tokenizer import AudioProcessor, Processor
from tests.architectures.image_token_oracle import facts


def lengths(count: int, seed: int, rate: int = 16_000, *, most: float = 75.0) -> Iterator[int]:
    """Samples of sounds: the odd ones first, then drawn at random, short and long alike."""
    yield from (1, 159, 160, 161, 201, 400, 513, 30 * rate, 30 * rate + 1, 30 * rate - 1, int(most * rate))
    draw = random.Random(seed)
    for _ in range(count - 11):
        yield int(2 ** draw.uniform(7, np.log2(most * rate)))


def counted(folder: Path, samples: int) -> AudioTokenCount:
    """What mmdoctor counts from the files alone."""
    engine = facts(folder)
    return count_audio_tokens(
        engine.fact(MultimodalModel),
        engine.fact(AudioModel),
        engine.fact(AudioProcessor),
        engine.fact_or_none(Processor),
        samples,
    )


class Truth:
    """A real processor and a real model."""

    def __init__(self, model: Any, processor: Any) -> None:
        import torch

        self._torch = torch
        self.model = model.eval()
        self.processor = processor
        self.kind = model.config.model_type
        ears = [getattr(processor, name, None) for name in ("feature_extractor", "audio_processor")]
        self.ears = next((e for e in ears if e is not None), processor)
        self._seen: dict[object, int] = {}

    def inputs(self, samples: int) -> Mapping[str, Any]:
        """What the processor makes of noise and a prompt with one placeholder, or the ears alone."""
        rng = np.random.default_rng(samples)
        sound = rng.standard_normal(samples, dtype=np.float32) * 0.1
        marker = getattr(self.processor, "audio_token", None)
        if marker is None:
            return self.ears(sound, sampling_rate=self.ears.sampling_rate, return_tensors="pt")
        if self.kind == "voxtral":
            settings = {k: v for k, v in self.processor.audio_kwargs.items() if k != "max_source_positions"}
            heard = self.processor._retrieve_input_features([sound], 3000, **settings)
            return {"input_features": heard}
        return self.processor(text=[f"{marker} what"], audio=[sound], return_tensors="pt")

    def placeholders(self, inputs: Mapping[str, Any]) -> int | None:
        """Placeholders in the prompt."""
        if "input_ids" not in inputs:
            return None
        token = self.processor.audio_token
        marker = self.processor.tokenizer.convert_tokens_to_ids(token)
        return int((inputs["input_ids"] == marker).sum())

    def features(self, inputs: Mapping[str, Any]) -> int:
        """Vectors that the model makes of the sound."""
        masks = [(n, int(v.sum())) for n, v in inputs.items() if "mask" in n and hasattr(v, "sum")]
        key = repr(
            [(n, tuple(v.shape)) for n, v in inputs.items() if n.startswith(("input_f", "input_v", "audio_i"))]
        ) + repr(masks)
        if key not in self._seen:
            with self._torch.no_grad():
                self._seen[key] = self._run(inputs)
        return self._seen[key]

    def _run(self, inputs: Mapping[str, Any]) -> int:
        inner = getattr(self.model, "model", self.model)
        if self.kind == "whisper":
            return self._rows(inner.encoder(inputs["input_features"]).last_hidden_state)
        if self.kind == "moonshine":
            return self._rows(inner.encoder(inputs["input_values"]).last_hidden_state)
        if self.kind == "clap":
            hidden = self.model.audio_model(input_features=inputs["input_features"]).last_hidden_state
            return int(hidden.shape[-1] * hidden.shape[-2])
        if self.kind == "qwen2_audio":
            heard = inner.audio_tower if hasattr(inner, "audio_tower") else self.model.audio_tower
            heard(inputs["input_features"])
            _, lengths = heard._get_feat_extract_output_lengths(inputs["feature_attention_mask"].sum(-1))
            return int(lengths.sum())
        if self.kind == "gemma3n":
            inner.vocab_size = self.model.config.audio_config.vocab_offset + 128  # as published; the specimen has less
            self.model(**inputs)  # the padding to a fixed number is done in forward, which compares both counts
            return int(self.model.config.audio_soft_tokens_per_image)
        if self.kind == "phi4_multimodal":
            heard = inner.embed_tokens_extend.audio_embed.encoder(inputs["audio_input_features"], None)
            self.model(**inputs)
            return int(min(heard.shape[1], inputs["audio_embed_sizes"][0]))
        if self.kind in ("qwen2_5_omni_thinker", "qwen3_omni_moe_thinker"):
            given = {k: inputs[k] for k in ("input_features", "feature_attention_mask")}
            return self._rows(self.model.get_audio_features(**given).last_hidden_state)
        if hasattr(self.model, "get_audio_features"):
            given = {k: inputs[k] for k in ("input_features", "input_features_mask") if k in inputs}
            if self.kind == "musicflamingo":
                given["input_ids"] = inputs["input_ids"]
            return self._rows(self.model.get_audio_features(**given).pooler_output)
        inner = getattr(self.model, self.model.base_model_prefix, self.model)
        return self._rows(inner(inputs["input_values"]).last_hidden_state)

    @staticmethod
    def _rows(hidden: Any) -> int:
        return int(hidden.numel() // hidden.shape[-1])
