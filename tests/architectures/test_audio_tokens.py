"""Numbers that people know, and settings without sense."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.audio_tokens import audio_token_counts, classes, count_audio_tokens
from mmdoctor.architectures.audio_tokens.families import USUAL
from mmdoctor.architectures.audio_tokens.features import CLASSES as MODELS
from mmdoctor.architectures.audio_tokens.frames import CLASSES as EXTRACTORS
from mmdoctor.architectures.audio_tokens.placeholders import CLASSES as PROCESSORS
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.audio_tokens import AudioTokenCount
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import AudioModel, ModelConfig
from mmdoctor.facts.tokenizer import AudioProcessor, Processor, Settings

SECOND = 16_000


def facts(config: dict[str, Any], ears: dict[str, Any], processor: dict[str, Any]) -> tuple[Any, ...]:
    document = JsonDocument(file="config.json", value=config)
    model = multimodal_model(ModelConfig(document=document, model_type=config.get("model_type")))
    at = Settings(document=JsonDocument(file="preprocessor_config.json", value=ears))
    joint = Settings(document=JsonDocument(file="processor_config.json", value=processor))
    return (
        model,
        model.audio or AudioModel(section=""),
        AudioProcessor(settings=at, type=at.read("feature_extractor_type", str)),
        Processor(settings=joint, processor_class=joint.read("processor_class", str)),
    )


def counted(config: dict[str, Any], samples: int, ears: dict[str, Any] | None = None) -> AudioTokenCount:
    return count_audio_tokens(*facts(config, ears or {}, {}), samples)


MEL = {"feature_size": 128}
KNOWN: list[tuple[str, dict[str, Any], dict[str, Any], float, int]] = [
    # Whisper paper (arXiv 2212.04356): 30 seconds, 10 ms a frame, a convolution by two: 1500 positions.
    ("whisper", {}, {}, 5.0, 1500),
    # Qwen2-Audio technical report (arXiv 2407.10759): each vector stands for about 40 ms: 25 a second.
    ("qwen2_audio", {"audio_config": {}}, MEL, 30.0, 750),
    ("qwen2_audio", {"audio_config": {}}, MEL, 10.0, 250),
    # Qwen2.5-Omni technical report (arXiv 2503.20215): each frame corresponds to about 40 ms.
    ("qwen2_5_omni_thinker", {"audio_config": {}}, {**MEL, "chunk_length": 300}, 60.0, 1500),
    # Qwen3-Omni technical report (arXiv 2509.17765): a token rate of 12.5 Hz, here 13 a second of whole frames.
    ("qwen3_omni_moe_thinker", {"audio_config": {}}, MEL, 4.0, 52),
    # Gemma 3n model card: audio is encoded at 6.25 tokens a second, 188 for the 30 seconds that fit.
    ("gemma3n", {"audio_config": {}}, {}, 30.0, 188),
    # Phi-4-multimodal technical report (arXiv 2503.01743): a token every 80 ms.
    ("phi4_multimodal", {"audio_config": {}}, {}, 60.0, 750),
    # Audio Flamingo 3 (arXiv 2507.08128): Whisper's 50 Hz pooled by two, in windows of 30 seconds.
    ("audioflamingo3", {"audio_config": {}}, MEL, 60.0, 1500),
    # Voxtral (arXiv 2507.13264): 12.5 Hz, the last window padded: 375 for each.
    ("voxtral", {"audio_config": {"hidden_size": 1280, "intermediate_size": 5120}}, MEL, 31.0, 750),
    # Granite speech (arXiv 2505.08699): 10 Hz after the window Q-Former.
    ("granite_speech", {"encoder_config": {}}, {}, 30.0, 300),
    # wav2vec 2.0 (arXiv 2006.11477): 49 Hz, a receptive field of 25 ms.
    ("wav2vec2", {}, {}, 1.0, 49),
    # AST (arXiv 2104.01778): 12 x 101 patches of 10.24 seconds, and two tokens.
    ("audio-spectrogram-transformer", {}, {}, 10.0, 12 * 101 + 2),
]


@pytest.mark.parametrize(("kind", "config", "ears", "seconds", "wanted"), KNOWN)
def test_published_counts(kind: str, config: Any, ears: Any, seconds: float, wanted: int) -> None:
    count = counted({"model_type": kind, **config}, int(seconds * SECOND), ears)

    assert count.features.count == wanted
    assert count.placeholders is None or count.placeholders.count == wanted


def test_mel_bins_of_another_size_refuse_every_sound() -> None:
    count = counted({"model_type": "whisper", "num_mel_bins": 128}, SECOND)

    assert count.features.count is None
    assert "128 mel bins, and gets 80" in count.features.arithmetic
    assert not count.agree


def test_a_window_of_another_length_refuses_every_sound() -> None:
    count = counted({"model_type": "whisper"}, SECOND, {"chunk_length": 15})

    assert "3000 frames only, and gets 1500" in count.features.arithmetic


def test_a_shorter_window_on_both_sides_is_fine() -> None:
    count = counted({"model_type": "whisper", "max_source_positions": 750}, SECOND, {"chunk_length": 15})

    assert count.agree


def test_long_sounds_are_cut_off() -> None:
    counts = audio_token_counts(*facts({"model_type": "qwen2_audio", "audio_config": {}}, MEL, {}))

    assert counts.longest == 30.0
    assert [c.features.count for c in counts.counts] == [25, 250, 750, 750]
    assert counts.sampling_rate.value == SECOND


def test_sounds_in_windows_are_not_cut_off() -> None:
    counts = audio_token_counts(*facts({"model_type": "audioflamingo3", "audio_config": {}}, MEL, {}))

    assert counts.longest is None


def test_a_setting_is_named_with_its_place() -> None:
    side = counted({"model_type": "gemma3n", "audio_config": {}}, SECOND).features

    assert "audio_soft_tokens_per_image" in [u.what for u in side.used]


def test_unknown_types_are_left_alone() -> None:
    with pytest.raises(NotApplicable, match="no formula for audio tokens is known for ultravox"):
        audio_token_counts(*facts({"model_type": "ultravox", "audio_config": {"model_type": "whisper"}}, {}, {}))


def test_code_that_comes_with_the_model_counts_itself() -> None:
    remote = {"model_type": "qwen2_audio", "audio_config": {}, "auto_map": {"AutoModel": "own.Model"}}

    with pytest.raises(UnknownFamily, match="other code"):
        classes(*(facts(remote, {}, {})[i] for i in (0, 2, 3)))


def test_every_class_is_described() -> None:
    assert set(USUAL) == set(MODELS)
    assert {name for name, _ in USUAL.values() if name} == set(PROCESSORS)
    assert {name for _, name in USUAL.values()} == set(EXTRACTORS)


NUMBERS = st.one_of(st.integers(-2, 10**30), st.floats(), st.none(), st.text(max_size=3), st.booleans())
ANYTHING = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
KEYS = sorted({key for kind in EXTRACTORS.values() for key in kind.defaults})
TOWER_KEYS = sorted({key for kind in MODELS.values() for key in (*kind.tower, *kind.top)})


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from(sorted(MODELS)),
    ears=st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4),
    tower=st.dictionaries(st.sampled_from(TOWER_KEYS), ANYTHING, max_size=4),
    joint=st.dictionaries(st.sampled_from(["audio_seq_length", "max_audio_len"]), ANYTHING, max_size=2),
    samples=st.one_of(st.integers(1, 10**6), st.integers(1, 10**12)),
)
def test_settings_without_sense(kind: str, ears: Any, tower: Any, joint: Any, samples: int) -> None:
    config = {
        "model_type": kind,
        **tower,
        "audio_config": tower,
        "encoder_config": tower,
        "thinker_config": {"audio_config": tower},
    }
    given_facts = facts(config, ears, joint)

    with suppress(Refused, UnknownFamily, UnknownValue):
        count = count_audio_tokens(*given_facts, samples)
        assert count.features.count is None or count.features.count >= 0
    with suppress(NotApplicable, Unavailable):
        assert audio_token_counts(*given_facts).extractor_class
