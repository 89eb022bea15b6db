"""DRF027."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.audio_tokens import AudioTokenCount, AudioTokenCounts
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.sound import SoundPath
from mmdoctor.facts.tokenizer import AudioProcessor
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Scalar, Severity

COUNTERPARTS = {
    "audio_seq_length": "audio_soft_tokens_per_image",
    "projector_window_size": "window_size",
    "projector_downsample_rate": "downsample_rate",
    "audio_compression_rate": "time_reduction",
}
"""A key of processor or feature extractor, and the key of the model that has to say the same."""


@check("DRF027", Severity.ERROR, yields_to=("DRF026",))
def audio_token_count_and_sample_rate(
    ears: AudioProcessor, counts: AudioTokenCounts | None, sound: SoundPath | None
) -> Iterator[Problem]:
    """A sound gets another number of placeholders than of features, or is sampled at an unusual rate.

    ## What it checks

    For sounds of 1 to 60 seconds, the placeholders that the processor writes, from the files of processor and feature
    extractor, against the features that the model makes, from config.json. Both follow the source of transformers for
    the families whose formulae are known.

    The sampling rate of the feature extractor against the one of every published model with that extractor. That a
    rate is expected at all, and what a sound costs in tokens, is a note: it concerns the client, not the files.

    ## Why it matters

    `Audio features and audio tokens do not match: 2498 vs 4220`: every request with a sound fails. A wrong sampling
    rate fails nowhere unless the caller passes the rate along: raw samples at 44.1 kHz are taken for speech that is
    2.76 times slower, and the transcription is garbage.

    ## How to fix it

    Ship the processor files that the model was trained with. Resample in the client, and pass `sampling_rate` to the
    processor so that a wrong one is refused.

    ## Sources

    - https://github.com/QwenLM/Qwen2-Audio/issues/117
    - https://github.com/QwenLM/Qwen2-Audio/issues/143
    - https://github.com/QwenLM/Qwen2-Audio/issues/144
    - https://github.com/hiyouga/LLaMA-Factory/issues/8604
    - https://github.com/Blaizzy/mlx-vlm/issues/1620
    - https://github.com/ggml-org/whisper.cpp/issues/565
    """
    wrong = [count for count in counts.counts if not count.agree] if counts is not None else []
    if counts is not None and wrong:
        yield _mismatch(counts, wrong)
    unusual = list(_unusual_rate(sound)) if sound is not None else []
    yield from unusual
    if not wrong and not unusual:
        yield from _note(ears, counts, sound)


def _unusual_rate(sound: SoundPath) -> Iterator[Problem]:
    rate, usual = sound.rate, sound.usual_rate
    if rate is None or usual is None or rate.value == usual:
        return
    times = int(rate.value or 0) / usual
    heard = f"{times:.3g} times slower" if times > 1 else f"{1 / times:.3g} times faster"
    yield Problem(
        f"the feature extractor asks for {rate.value} Hz, and the published models of this type were trained at "
        f"{usual} Hz: to such a model every sound is {heard} than it is, and what it hears is wrong, without an error",
        because=[_evidence(rate, usual)],
        fix=Fix("copy the feature extractor's settings from the model that this one was made from"),
        severity=Severity.WARNING,
        confidence=Confidence.LIKELY,
    )


def _mismatch(counts: AudioTokenCounts, wrong: list[AudioTokenCount]) -> Problem:
    count = wrong[0]
    placeholders, features = count.placeholders, count.features
    said = f"a sound of {count.seconds:g} s"
    if placeholders is None:
        said += f" is refused by the model: {features.arithmetic}"
    elif placeholders.count is None:
        said += f" is refused by {counts.processor_class}: {placeholders.arithmetic}"
    elif features.count is None:
        said += f" becomes {placeholders.count} placeholders, and the model refuses it: {features.arithmetic}"
    else:
        said += (
            f" becomes {placeholders.count} placeholders ({placeholders.arithmetic}), and the model makes "
            f"{features.count} features ({features.arithmetic})"
        )
    every = len(wrong) == len(counts.counts)
    ours = placeholders.used if placeholders is not None else ()
    pairs = list(_pairs(ours, features.used))
    named = {used for pair in pairs for used in pair}
    rest = [used for used in (*ours, *features.used) if used.default_of is None and used not in named]
    return Problem(
        f"{said}: every request with " + ("a sound fails" if every else f"a sound of {_lengths(wrong)} fails"),
        because=[
            *(_evidence(used, other.value) for used, other in pairs),
            *(_evidence(other) for _, other in pairs),
            Evidence("placeholders", placeholders.count if placeholders else None, expected=features.count),
            *(_evidence(used) for used in rest[:8]),
        ],
        fix=_fix(pairs),
        severity=Severity.ERROR if every else Severity.WARNING,
    )


def _lengths(wrong: list[AudioTokenCount]) -> str:
    return " or ".join(f"{count.seconds:g} s" for count in wrong)


def _pairs(ours: tuple[Used, ...], theirs: tuple[Used, ...]) -> Iterator[tuple[Used, Used]]:
    """(Processor's value, model's value) of settings that ought to be the same and are not."""
    model = {used.what.rpartition(".")[2]: used for used in theirs}
    for used in ours:
        other = model.get(COUNTERPARTS.get(used.what, ""))
        if other is not None and other.value != used.value:
            yield used, other


def _fix(pairs: list[tuple[Used, Used]]) -> Fix:
    changes = [(used, other) for used, other in pairs if used.default_of is None and used.at.pointer]
    if not changes:
        return Fix("ship the processor files that belong to this model")
    text = ", ".join(f"{used.what} to {other.value}" for used, other in changes)
    edits = (Edit(file=u.at.file, pointer=u.at.pointer or "", value=other.value) for u, other in changes)
    return Fix(f"set {text}, as config.json has it", tuple(edits))


def _evidence(used: Used, expected: Scalar = None) -> Evidence:
    what = used.what if used.default_of is None else f"{used.what} (absent: default of {used.default_of})"
    return Evidence(what, used.value, used.at, expected)


def _note(ears: AudioProcessor, counts: AudioTokenCounts | None, sound: SoundPath | None) -> Iterator[Problem]:
    rate = Used("sampling_rate", ears.sampling_rate.value, ears.sampling_rate.at) if ears.sampling_rate else None
    rate = rate or (sound.rate if sound is not None else None)
    if rate is None:
        return
    said = [f"the model hears sounds of {rate.value} Hz: resample others, and pass their rate to the processor"]
    evidence = [_evidence(rate)]
    long = counts.of(30.0) if counts is not None else None
    if long is not None and long.placeholders is not None:
        said.append(f"30 s cost {long.placeholders.count} tokens of the context")
        evidence.append(Evidence("tokens of 30 s", long.placeholders.count, rate.at))
    if counts is not None and counts.longest is not None:
        said.append(f"the processor cuts off what is longer than {counts.longest:g} s")
    yield Problem("; ".join(said), because=evidence, severity=Severity.NOTE)
