"""Pictures and texts to the model's inputs, with numpy and without torch, by the folder's own settings.

Resizing is Pillow's antialiased bilinear: every output pixel is the mean of the input pixels under a triangle as wide
as the scale (https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters).

Shapes: Y and X pixel rows and columns, C colour channels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.errors import MMDoctorError
from mmdoctor.readers.documents import documents
from mmdoctor.readers.processors import image_processor
from mmdoctor.readers.source import open_source
from mmdoctor.reference.tokenizer import Encoding, Tokenizer
from mmdoctor.reference.world import IMAGE_TOKEN

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]

SETTINGS: dict[str, Any] = {
    "image_processor_type": "ViTImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"height": 48, "width": 48},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
"""Content of `preprocessor_config.json`; transformers' ViTImageProcessor reads it and makes the same numbers."""


@runtime_checkable
class PillowImage(Protocol):
    """As much of `PIL.Image.Image` as is used here; Pillow need not be installed."""

    def convert(self, mode: str) -> Any:
        """The same picture in another mode."""


def as_rgb(picture: Any) -> Pixels:
    """pixels_YXC of a Pillow image in any mode, or of a uint8 array: grey, grey and alpha, RGB or RGBA.

    Alpha is dropped, as Pillow's `convert("RGB")` does.

    Raises:
        ValueError: an array of another type or shape.
    """
    if isinstance(picture, PillowImage):
        return np.asarray(picture.convert("RGB"))
    array = np.asarray(picture)
    if array.dtype != np.uint8:
        raise ValueError(f"the picture's numbers are {array.dtype}, expected uint8 (0 to 255)")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or 0 in array.shape:
        raise ValueError(f"the picture is {array.shape}, expected (rows, columns) or (rows, columns, 1 to 4 channels)")
    return array[..., :3] if array.shape[2] >= 3 else array[..., :1].repeat(3, axis=2)


def resize(pixels_YXC: Pixels, height: int, width: int) -> Pixels:
    """Antialiased bilinear, columns first, rounded to whole levels after each direction as in Pillow."""
    for axis, size in ((1, width), (0, height)):
        if pixels_YXC.shape[axis] != size:
            weights = _triangle_weights(pixels_YXC.shape[axis], size)
            resized = np.moveaxis(np.tensordot(weights, pixels_YXC.astype(np.float64), axes=(1, axis)), 0, axis)
            pixels_YXC = np.floor(resized + 0.5).clip(0, 255).astype(np.uint8)
    return pixels_YXC


def _triangle_weights(size: int, new_size: int) -> Numbers:
    scale = size / new_size
    support = max(scale, 1.0)
    centers = (np.arange(new_size) + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centers[:, None]) / support
    weights: Numbers = np.clip(1.0 - distance, 0.0, None)
    normalised: Numbers = weights / weights.sum(axis=1, keepdims=True)
    return normalised


class ModelInputs(NamedTuple):
    """Arguments of the model's `encode`, as numpy arrays and lists."""

    pixel_values: npt.NDArray[np.float32]
    """pictures_BCYX."""
    text: Encoding


class Processor:
    """The folder's image settings and tokenizer.

    Raises:
        ValueError: a setting that this processor does not know how to follow.
    """

    def __init__(self, settings: dict[str, Any], tokenizer: Tokenizer) -> None:
        missing = SETTINGS.keys() - settings.keys() - {"image_processor_type", "do_convert_rgb"}
        if missing:
            raise ValueError(f"{min(missing)} is missing")
        if settings["resample"] != 2:
            raise ValueError(f"resample is {settings['resample']}, expected 2 (bilinear)")
        self.settings = settings
        self.tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path) -> "Processor":
        """As a user's is read; raises `MMDoctorError` when one of the files is missing or not what it should be."""
        try:
            settings = image_processor(documents(open_source(folder))).settings
            return cls(
                {name: settings.get(name) for name in SETTINGS if name in settings}, Tokenizer.from_folder(folder)
            )
        except (NotApplicable, Unavailable, ValueError) as error:
            file = folder / "preprocessor_config.json"
            raise MMDoctorError(f"{file} cannot be used: {error}; install mmdoctor again") from None

    def pixel_values(self, pictures: Sequence[Any]) -> npt.NDArray[np.float32]:
        """pictures_BCYX: resized, rescaled and normalised as the settings say."""
        settings, planes = self.settings, []
        for picture in pictures:
            pixels_YXC = as_rgb(picture)
            if settings["do_resize"]:
                pixels_YXC = resize(pixels_YXC, settings["size"]["height"], settings["size"]["width"])
            numbers_YXC = pixels_YXC.astype(np.float64)
            if settings["do_rescale"]:
                numbers_YXC = numbers_YXC * settings["rescale_factor"]
            if settings["do_normalize"]:
                numbers_YXC = (numbers_YXC - settings["image_mean"]) / settings["image_std"]
            planes.append(numbers_YXC.transpose(2, 0, 1))
        return np.stack(planes).astype(np.float32)

    def __call__(self, pictures: Sequence[Any], texts: Sequence[str | tuple[str, str]]) -> ModelInputs:
        """A batch of pictures with a text each.

        The image marker says that a picture belongs to the text, as in Alayrac et al. 2022, "Flamingo",
        https://arxiv.org/abs/2204.14198; it is one token, whatever the picture's size.

        Raises:
            ValueError: the numbers of pictures and texts differ, or a text has not exactly one image marker.
        """
        if len(pictures) != len(texts):
            raise ValueError(f"there are {len(pictures)} pictures and {len(texts)} texts")
        for text in texts:
            markers = "".join(text).count(IMAGE_TOKEN)
            if markers != 1:
                raise ValueError(f"{text!r} has {markers} {IMAGE_TOKEN} markers, expected 1")
        return ModelInputs(self.pixel_values(pictures), self.tokenizer.encode(texts))
