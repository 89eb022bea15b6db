"""Is a folder healthy? Load it as its users do, feed it, and look at what comes out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from tests.specimens.recipe import Recipe, recipes
from tests.specimens.speakers import V5

PHRASES = ["a red dog", "two people in a park"]
QUESTION = {"type": "text", "text": "Describe this image in detail."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen."""

    loading: dict[str, list[str]]
    """Missing, unexpected and mismatched keys; empty when healthy."""

    finite: bool
    """No output holds NaN or Inf."""

    moved: bool
    """Another image, sound or text gives another output."""

    placeholders: int
    """Tokens in the text that stand for features, 0 where the family has none."""

    outputs: dict[str, tuple[int, ...]]
    """Shape of each output tensor."""

    digest: str
    """SHA-256 of all outputs: the same for two folders that hold the same model."""

    dead: list[str]
    """Weight matrices without a single value other than zero."""


def examine(name: str, folder: Path) -> Examination:
    """Run the specimen `name` from `folder` twice, with two different inputs."""
    made = recipes()[name]
    model, info = _load(made, folder)
    processor = _processor(made, folder)
    first, placeholders = _inputs(made, processor, model, seed=0)
    second, _ = _inputs(made, processor, model, seed=1)
    before, after = _run(model, first), _run(model, second)
    return Examination(
        loading={key: sorted(map(str, info[key])) for key in info if info[key] and key.endswith("_keys")},
        finite=all(_finite(value) for value in [*before.values(), *after.values()]),
        moved=any(not torch.equal(before[key], after[key]) for key in before if key in after),
        placeholders=placeholders,
        outputs={key: tuple(value.shape) for key, value in before.items()},
        digest=_digest(before),
        dead=[key for key, value in model.named_parameters() if value.ndim > 1 and not value.any()],
    )


def _run(model: Any, fed: dict[str, Any]) -> dict[str, torch.Tensor]:
    """All outputs; with a seed, since ViLT draws the patches it looks at."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _tensors(model(**fed))


def _digest(outputs: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(outputs):
        digest.update(outputs[key].float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _finite(value: torch.Tensor) -> bool:
    """Padding and forbidden classes may be the lowest number, never NaN or Inf."""
    return bool(torch.isfinite(value.float()).all())


def _load(made: Recipe, folder: Path) -> tuple[Any, dict[str, Any]]:
    kind = getattr(transformers, made.auto)
    dtype = {"dtype" if V5 else "torch_dtype": "auto"}
    model, info = kind.from_pretrained(folder, output_loading_info=True, local_files_only=True, **dtype)
    return model.eval(), info


def _processor(made: Recipe, folder: Path) -> Any:
    auto = {"pixels": transformers.AutoImageProcessor, "words": transformers.AutoTokenizer}
    return auto.get(made.feed, transformers.AutoProcessor).from_pretrained(folder, local_files_only=True)


def picture(seed: int = 0, width: int = 320, height: int = 240) -> Image.Image:
    """A gradient with a grain, another one for each seed."""
    grain = np.random.default_rng(seed).integers(0, 96, (height, width, 3))
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x * 159 // width, y * 159 // height, (x + y + 80 * seed) % 160], -1)
    return Image.fromarray((ramp + grain).astype("uint8"))


def tone(seed: int = 0, rate: int = 16000) -> np.ndarray[Any, Any]:
    """A second of a note."""
    return (0.3 * np.sin(np.arange(rate) * (0.05 + 0.03 * seed))).astype("float32")


def _inputs(made: Recipe, processor: Any, model: Any, seed: int) -> tuple[dict[str, Any], int]:
    fed = dict(_FEEDS[made.feed](made, processor, seed))
    dtype = next(model.parameters()).dtype
    fed = {key: value.to(dtype) if _floating(value) else value for key, value in fed.items()}
    fed.pop("labels", None)
    if model.config.is_encoder_decoder or made.feed == "drawing":
        start = getattr(model.config, "decoder_start_token_id", None)
        start = model.generation_config.decoder_start_token_id if start is None else start
        fed["decoder_input_ids"] = torch.tensor([[start]])
    return fed, _placeholders(model.config, fed)


def _placeholders(config: Any, fed: dict[str, Any]) -> int:
    fields = ("image_token_id", "image_token_index", "audio_token_id", "audio_token_index")
    numbers = {number for field in fields if isinstance(number := getattr(config, field, None), int)}
    ids = fed.get("input_ids")
    return 0 if ids is None else sum(int((ids == number).sum()) for number in numbers)


def _floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _tensors(output: Any) -> dict[str, torch.Tensor]:
    return {key: value for key, value in output.items() if _floating(value)}


def chat(processor: Any, part: dict[str, Any]) -> str:
    """The prompt of one user turn, as the folder's own template writes it."""
    turns = [{"role": "user", "content": [part, QUESTION]}]
    return str(processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))


def _specials(processor: Any, text: str) -> dict[str, bool]:
    bos = processor.tokenizer.bos_token
    return {"add_special_tokens": False} if bos and text.startswith(bos) else {}


def _chat(made: Recipe, processor: Any, seed: int) -> Any:
    text = chat(processor, {"type": "image"})
    return processor(images=[picture(seed)], text=[text], return_tensors="pt", **_specials(processor, text))


def _caption(made: Recipe, processor: Any, seed: int) -> Any:
    return processor(images=picture(seed), text=made.prompt, return_tensors="pt", padding=made.padding)


def _contrast(made: Recipe, processor: Any, seed: int) -> Any:
    return processor(images=picture(seed), text=PHRASES, return_tensors="pt", padding=made.padding)


def _pixels(made: Recipe, processor: Any, seed: int) -> Any:
    return processor(picture(seed), return_tensors="pt")


def _words(made: Recipe, processor: Any, seed: int) -> Any:
    return processor(made.prompt + " a dog" * seed, return_tensors="pt")


def _rate(processor: Any) -> int:
    return int(processor.feature_extractor.sampling_rate)


def _speech(made: Recipe, processor: Any, seed: int) -> Any:
    rate = _rate(processor)
    return processor(tone(seed, rate), sampling_rate=rate, return_tensors="pt")


def _listen(made: Recipe, processor: Any, seed: int) -> Any:
    rate = _rate(processor)
    sound = {"audios": tone(seed, rate)} if made.name == "clap" and not V5 else {"audio": [tone(seed, rate)]}
    return processor(text=[made.prompt], sampling_rate=rate, return_tensors="pt", padding=True, **sound)


def _document(made: Recipe, processor: Any, seed: int) -> Any:
    boxes = [[1, 2, 30, 40], [50, 60, 700, 800]]
    return processor(picture(seed), ["red", "dog"], boxes=boxes, return_tensors="pt")


_FEEDS = {
    "chat": _chat,
    "caption": _caption,
    "contrast": _contrast,
    "pixels": _pixels,
    "words": _words,
    "speech": _speech,
    "listen": _listen,
    "drawing": lambda made, processor, seed: processor(images=picture(seed), return_tensors="pt"),
    "document": _document,
}


def watch(name: str, folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the outputs for a video of four frames."""
    made = recipes()[name]
    model, _ = _load(made, folder)
    processor = _processor(made, folder)
    frames = np.stack([np.asarray(picture(seed, 168, 112)) for seed in range(4)])
    text = chat(processor, {"type": "video"})
    sampling: dict[str, Any] = {"do_sample_frames": False}
    if name == "video_llava" and not V5:
        sampling = {}
    elif V5 and name.startswith(("qwen", "glm4v")):
        seen = {"fps": 2, "total_num_frames": 4, "duration": 2.0, "frames_indices": [0, 1, 2, 3]}
        sampling = {"videos_kwargs": sampling | {"video_metadata": [seen]}}
    fed = dict(processor(videos=[frames], text=[text], return_tensors="pt", **_specials(processor, text), **sampling))
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        output = _tensors(model(**{key: value.to(dtype) if _floating(value) else value for key, value in fed.items()}))
    assert all(_finite(value) for value in output.values())
    return {key: tuple(value.shape) for key, value in output.items()}
