"""What a specimen is: a function that makes a model and its processors, and how such a model is fed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Feed = Literal["chat", "caption", "contrast", "pixels", "words", "speech", "listen", "drawing", "document"]
"""How the model takes its input: a chat with an image, an image and a prompt, an image against texts, an image alone,
text alone, sound alone, sound and a prompt, an image with a decoder, a scanned page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A model in memory with what else goes into its folder."""

    model: Any
    """A `PreTrainedModel` in float32."""

    processors: tuple[Any, ...]
    """Everything with a `save_pretrained` beside the model: a processor, or an image processor and a tokenizer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one specimen is made and used."""

    name: str
    make: Callable[[], Made]

    auto: str
    """The auto class that loads the model, as users load it."""

    feed: Feed
    dtype: str
    """The dtype the published checkpoints of the family are stored in."""

    prompt: str = ""
    padding: Literal["longest", "max_length"] = "longest"
    """How texts are padded for this family."""

    video: bool = False
    """The chat also takes a video."""

    max_shard_size: str | None = None
    """Above this the weights are split over several files."""

    since: int = 4
    """The first major version of transformers that knows the family as it is built here."""

    needs: tuple[str, ...] = ()
    """Distributions that loading this family takes, beside transformers, torch and torchvision."""


REGISTRY: dict[str, Recipe] = {}


def recipe(
    name: str, *, auto: str, feed: Feed, dtype: str, **more: Any
) -> Callable[[Callable[[], Made]], Callable[[], Made]]:
    """Register the decorated function as the specimen `name`."""

    def register(make: Callable[[], Made]) -> Callable[[], Made]:
        if name in REGISTRY:
            raise ValueError(f"two recipes are called {name!r}")
        REGISTRY[name] = Recipe(name=name, make=make, auto=auto, feed=feed, dtype=dtype, **more)
        return make

    return register


def recipes() -> dict[str, Recipe]:
    """Every recipe by name; imports torch and transformers."""
    from tests.specimens import (  # noqa: F401  importing a module registers its recipes
        audio,
        captioners,
        contrastive,
        gemma,
        idefics,
        llama,
        llava,
        mistral,
        qwen,
        text,
        vision,
    )

    return REGISTRY
