"""DRF026."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.sound import Bins, SoundPath, Window
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity

GENERATION = "generation_config.json"
COPY = "copy the feature extractor's settings from the model that this one was made from"
HOP = 160
"""Samples a frame of every published extractor of Whisper's kind."""


@check("DRF026", Severity.ERROR)
def whisper_mel_and_length(sound: SoundPath, documents: Documents) -> Iterator[Problem]:
    """The feature extractor makes other spectrograms than the audio encoder reads.

    ## What it checks

    Numbers in a frame: what the feature extractor makes (mel bins, times the frames that it stacks into one) against
    what config.json says (`num_mel_bins`, `input_feat_per_channel`, `feature_projection_input_dim` ...) and what the
    first layer of the stored encoder reads.

    Frames of a window, for encoders that take one length only (Whisper, Qwen2-Audio, Voxtral, the Audio Spectrogram
    Transformer): `chunk_length x sampling_rate / hop_length` against `2 x max_source_positions`, and that
    against the rows of the stored position table. A window that both sides have shorter than 30 seconds is right.

    Whisper's decoder: `max_target_positions` against its position table, and `max_new_tokens` of
    generation_config.json against both. A setting that a file lacks is the class's default (`feature_size` 80).
    Values that only repeat others (`n_samples`, `nb_max_frames`) are not looked at: the class computes them itself.

    ## Why it matters

    Every sound fails: `Given groups=1, weight of size [1280, 128, 3], expected input[1, 80, 3000] to have 128
    channels`, or `Whisper expects the mel input features to be of length 3000`. Most often the feature extractor of
    another size of the model was copied: Whisper large-v3 and its descendants have 128 mel bins, all before it 80.

    ## How to fix it

    Copy preprocessor_config.json from the model that was fine-tuned. What the stored encoder reads is right.

    ## Sources

    - https://github.com/huggingface/transformers/issues/27363
    - https://github.com/huggingface/transformers/issues/27368
    - https://github.com/huggingface/transformers/issues/30740
    - https://github.com/huggingface/transformers/issues/26241
    - https://github.com/huggingface/transformers/issues/33196
    - https://github.com/linto-ai/whisper-timestamped/issues/132
    - https://github.com/openvinotoolkit/openvino.genai/issues/3118
    """
    yield from _bins(sound)
    yield from _window(sound)
    yield from _table(sound.positions, sound.table, "encoder")
    yield from _table(sound.target_positions, sound.target_table, "decoder")
    yield from _new_tokens(sound, documents)
    if sound.views is not None:
        truncation, fusion = sound.views
        yield Problem(
            "the feature extractor makes four spectrograms of a sound (truncation fusion), and the model reads one "
            "(enable_fusion false): every sound fails with `to have 1 channels, but got 4 channels`",
            because=[_evidence(truncation, "rand_trunc"), _evidence(fusion)],
            fix=Fix(COPY, (_edit(sound.settings[0], "truncation", "rand_trunc"),)),
        )


def _bins(sound: SoundPath) -> Iterator[Problem]:
    """Extractor, configuration and weights must have the same numbers in a frame; the weights are right."""
    stated, stem = sound.channels, sound.stem
    if stated is None:
        return
    right = sound.stem_channels if stem is not None else int(stated.value or 0)
    stored = [Evidence("numbers in a frame that the first layer reads", right, stem.at)] if stem is not None else []
    wrong = [bins for bins in sound.bins if bins.count != right]
    if wrong:
        first = wrong[0]
        made = f"{first.count} ({first.stated.value} x {first.stacked})" if first.stacked > 1 else f"{first.count}"
        better = _right_bins(first, right)
        yield Problem(
            f"the feature extractor makes {made} numbers a frame, and the encoder reads {right}: "
            + _effect(first, len(wrong) < len(sound.bins)),
            because=[
                *(
                    Evidence(k, first.settings.get(k), first.settings.at(k), v)
                    for k, v in better
                    if k == first.stacking
                ),
                _evidence(first.stated, dict(better).get(first.stated.what)),
                _evidence(stated),
                *stored,
            ],
            fix=Fix(COPY, tuple(_edit(each.settings, *edit) for each in wrong for edit in _right_bins(each, right))),
            severity=Severity.WARNING if len(wrong) < len(sound.bins) else None,
        )
    if stem is not None and stated.value != right:
        yield _config(stated, right, f"its stored first layer reads {right} numbers a frame", stem)


def _right_bins(bins: Bins, right: int) -> list[tuple[str, int]]:
    """The setting, and its value, that would give the right number: the one that is not as usual."""
    if bins.stacked != bins.usually_stacked and int(bins.stated.value or 0) * bins.usually_stacked == right:
        return [(bins.stacking, bins.usually_stacked)]
    return [(bins.stated.what, right // bins.stacked)] if right % bins.stacked == 0 else []


def _effect(wrong: Bins | Window, some: bool) -> str:
    if not some:
        return "every sound fails"
    return f"every sound fails where {wrong.settings.document.file} is read; another copy of the settings is right"


def _window(sound: SoundPath) -> Iterator[Problem]:
    """The extractor's window must be as long as the encoder's; its stored position table is right."""
    positions = sound.positions
    right = sound.table.shape[0] * sound.stride if sound.table is not None else sound.window
    wrong = [window for window in sound.windows if window.frames != right]
    if positions is None or not wrong:
        return
    first, edits = wrong[0], []
    for window in wrong:
        better = _better(window, right, sound.usual_rate)
        edits += [_edit(window.settings, *better)] if better else []
    expected = dict(filter(None, [_better(first, right, sound.usual_rate)]))
    yield Problem(
        f"the feature extractor makes windows of {first.frames} frames ({first.arithmetic}), and the encoder takes "
        f"{right} only: {_effect(first, len(wrong) < len(sound.windows))}",
        because=[
            *(_evidence(used, expected[used.what]) for used in first.used if used.what in expected),
            *(_evidence(used) for used in first.used if used.what not in expected),
            _evidence(positions),
        ],
        fix=Fix(COPY, tuple(edits)),
        severity=Severity.WARNING if len(wrong) < len(sound.windows) else None,
    )


def _better(window: Window, right: int, rate: int | None) -> tuple[str, int] | None:
    """The one setting, and its value, that would give the right number of frames."""
    values = {used.what: int(used.value or 0) for used in window.used}
    if "max_length" in values:
        return "max_length", right
    seconds, hertz, hop = (values[key] for key in ("chunk_length", "sampling_rate", "hop_length"))
    if rate is not None and seconds * rate // hop == right:
        return "sampling_rate", rate
    if seconds * hertz // HOP == right:
        return "hop_length", HOP
    if right * hop % hertz == 0:
        return "chunk_length", right * hop // hertz
    return None


def _table(stated: Used | None, table: Tensor | None, side: str) -> Iterator[Problem]:
    if stated is not None and table is not None and table.shape[0] != stated.value:
        rows = table.shape[0]
        yield _config(stated, rows, f"the stored position table of the {side} has {rows} rows", table)


def _config(stated: Used, right: int, stored: str, tensor: Tensor) -> Problem:
    key = stated.what.rpartition(".")[2]
    pointer = stated.at.pointer if stated.default_of is None else None
    edits = (Edit(file=stated.at.file, pointer=pointer, value=right),) if pointer else ()
    return Problem(
        f"{key} is {stated.value}, and {stored}: the model does not load (size mismatch for {tensor.name})",
        because=[_evidence(stated, right), Evidence(f"shape of {tensor.name}", str(list(tensor.shape)), tensor.at)],
        fix=Fix(f"set {key} to {right}", edits),
    )


def _new_tokens(sound: SoundPath, documents: Documents) -> Iterator[Problem]:
    """generate() refuses a prompt and new tokens that are together longer than the decoder's positions."""
    generation, positions = documents.find(GENERATION), sound.target_positions
    if generation is None or positions is None:
        return
    prompt = 3 if generation.get("/is_multilingual") is True else 1
    room, asked = int(positions.value or 0), generation.read("/max_new_tokens", int)
    if asked is not None and asked.value + prompt > room:
        longest = room - 4  # the longest prompt: start, language, task, no time stamps
        yield Problem(
            f"max_new_tokens {asked.value} and a prompt of {prompt} tokens exceed the decoder's {room} positions: "
            "every transcription is refused",
            because=[Evidence("max_new_tokens", asked.value, asked.at, longest), _evidence(positions)],
            fix=Fix(f"lower it to {longest}", (Edit(file=GENERATION, pointer="/max_new_tokens", value=longest),)),
        )


def _evidence(used: Used, expected: int | str | None = None) -> Evidence:
    what = f"{used.what} (default of {used.default_of})" if used.default_of else used.what
    return Evidence(what, used.value, used.at, expected)


def _edit(settings: Settings, key: str, value: int | str) -> Edit:
    return Edit(file=settings.document.file, pointer=f"{settings.pointer}/{key}", value=value)
