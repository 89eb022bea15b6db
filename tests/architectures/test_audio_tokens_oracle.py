"""Both counts of sounds against the real processors and the real models, exactly."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures.audio_tokens import Refused
from tests.architectures.audio_token_oracle import Truth, counted, lengths

pytest.importorskip("transformers")
pytest.importorskip("torchvision")

from tests.architectures.further import FURTHER
from tests.specimens.recipe import recipes

SPECIMENS = ("whisper", "wav2vec2", "clap", "qwen2_audio", "qwen2_5_omni_thinker")
OTHERS = (
    "qwen3_omni_moe_thinker",
    "audioflamingo3",
    "musicflamingo",
    "glmasr",
    "voxtral",
    "audio_spectrogram_transformer",
    "moonshine",
    "wav2vec2_adapter",
    "hubert",
    "wavlm",
    "data2vec_audio",
    "unispeech_sat",
    "wav2vec2_conformer",
)
SEEING = ("gemma3n", "phi4_multimodal")
"""Families of both senses; they take long to build."""

CHANGED: dict[str, list[dict[str, object]]] = {
    "whisper": [{"chunk_length": 15}, {"hop_length": 320}, {"feature_size": 128}],
    "qwen2_audio": [{"chunk_length": 20}, {"feature_size": 80}, {"hop_length": 200}],
    "qwen2_5_omni_thinker": [{"chunk_length": 60}, {"hop_length": 200}, {"feature_size": 80}],
    "qwen3_omni_moe_thinker": [{"chunk_length": 5}, {"hop_length": 200}],
    "audioflamingo3": [{"max_audio_len": 30}, {"chunk_length": 15}, {"feature_size": 80}],
    "glmasr": [{"max_audio_len": 45}],
    "clap": [{"max_length_s": 5}, {"max_length_s": 12}],
}
"""Settings of the feature extractor (or, where it has them, of the processor) that differ from the specimen's."""

LONG = frozenset({"wavlm", "wav2vec2_conformer"})
"""Their attention over all frames of a long sound takes seconds."""


class Bench:
    """A tiny model on disk, and real ones to compare with."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.made = (FURTHER[name] if name in FURTHER else recipes()[name].make)()
        for processor in self.made.processors:
            processor.save_pretrained(folder)
        self.made.model.config.architectures = [type(self.made.model).__name__]
        self.made.model.config.save_pretrained(folder)
        self.truth = Truth(self.made.model, self.made.processors[0])

    def change(self, settings: dict[str, Any]) -> None:
        """Put other settings into the processor's file, and load it anew."""
        self.made.processors[0].save_pretrained(self.folder)
        file = self.folder / "processor_config.json"
        document = json.loads(file.read_text())
        for key, value in settings.items():
            (document if key in document else document["feature_extractor"])[key] = value
        file.write_text(json.dumps(document))
        self.truth = Truth(self.made.model, type(self.made.processors[0]).from_pretrained(self.folder))

    def compare(self, samples: int, *, run: bool) -> tuple[object, object]:
        """(What mmdoctor says, what really happens): placeholders and, where it is run, the model's features."""
        try:
            count = counted(self.folder, samples)
            placeholders = count.placeholders.count if count.placeholders is not None else None
            said: Any = (placeholders, count.features.count if run else None)
        except Refused:
            said = "refused"
        try:
            inputs = self.truth.inputs(samples)
        except (ValueError, RuntimeError, IndexError):
            return said, "refused"
        try:
            features = self.truth.features(inputs) if run else None
        except (ValueError, RuntimeError, IndexError):
            features = None
        if self.truth.kind == "voxtral":  # mistral_common writes its placeholders
            return said[1], features
        return said, (self.truth.placeholders(inputs), features)

    def check(self, name: str, count: int, seed: int, *, every: int) -> None:
        """Compare sounds of many lengths; the model runs on every so many of them."""
        most = 8.0 if name in LONG else 75.0
        for number, samples in enumerate(lengths(count, seed, self.truth.ears.sampling_rate, most=most)):
            if name in LONG and samples > 200_000:
                continue
            if name == "audio_spectrogram_transformer" and samples < 400:
                continue  # whether that is refused depends on torchaudio being installed
            said, real = self.compare(samples, run=number % every == 0 or number < 11)
            assert said == real, samples


@pytest.mark.parametrize("name", ["whisper", "wav2vec2", "qwen2_audio"])
def test_a_few_sounds(name: str, tmp_path: Path) -> None:
    Bench(name, tmp_path).check(name, 14, seed=1, every=100)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SPECIMENS, *OTHERS, *SEEING])
def test_a_hundred_sounds(name: str, tmp_path: Path) -> None:
    Bench(name, tmp_path).check(name, 104, seed=len(name), every=8)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_other_settings_of_the_ears(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path)

    for number, settings in enumerate(CHANGED[name]):
        bench.change(settings)
        bench.check(name, 16, seed=number, every=2)
