"""Tokenizer, processor and chat template: everything that turns a request into tensors."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from mmdoctor.facts.documents import BrokenDocument, JsonDocument
from mmdoctor.location import Location, Reading

T = TypeVar("T")


class AddedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token outside the trained vocabulary."""

    id: int
    """The id that the loader gives it, which is not always the one in the file: the `tokenizers` library takes the
    vocabulary's id, else the next free one."""
    content: str
    special: bool
    at: Location
    stated: int | None = None
    """The id that the file states, where the loader gives another."""

    @property
    def id_at(self) -> Location:
        """Where the id stands: the `id` inside an entry of tokenizer.json, else the entry itself."""
        if self.at.pointer is None or not self.at.pointer.startswith("/added_tokens/"):
            return self.at
        return Location(file=self.at.file, pointer=f"{self.at.pointer}/id")


class Tokenizer(msgspec.Struct, frozen=True, kw_only=True):
    """The tokenizer as its files state it."""

    file: str
    """The file that the ids come from: tokenizer.json, tokenizer.model, vocab.json, vocab.txt, tekken.json ..."""
    kind: str
    """`BPE`, `WordPiece`, `Unigram`, `WordLevel`, `sentencepiece`, `tiktoken`."""
    vocabulary: Mapping[str, int]
    """Content to id, trained vocabulary without the added tokens."""
    added: tuple[AddedToken, ...] = ()
    """Added tokens from all files, each id once."""
    max_id: Reading[int]
    """Largest id that the tokenizer can emit."""
    max_token: str
    """Content of that token."""
    tokenizer_class: Reading[str] | None = None
    model_max_length: Reading[int | float] | None = None
    named: Mapping[str, Reading[str]] = {}
    """Named special tokens: `pad_token` -> content, `eos_token` -> content, `image_token` -> content ..."""
    complete: bool = True
    """False where only some of the ids are known (a vocabulary in a format that is not read)."""
    first_merge: Reading[str] | Reading[tuple[str, ...]] | None = None
    """First BPE merge: a string (`"a b"`), or a pair, which `tokenizers` before 0.20 cannot read."""
    padding_side: Reading[str] | None = None

    def id_of(self, content: str) -> int | None:
        """The id of a token, added tokens first; None where there is none."""
        for token in self.added:
            if token.content == content:
                return token.id
        return self.vocabulary.get(content)

    def content_of(self, id: int) -> str | None:  # noqa: A002 - the field's own word
        """The token with that id, or None."""
        for token in self.added:
            if token.id == id:
                return token.content
        return next((c for c, i in self.vocabulary.items() if i == id), None)


class TokenizerFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file that the vocabulary is in, whether or not it can be read."""

    file: str
    kind: str
    """See `Tokenizer.kind`; empty where it is not known."""
    vocabulary: Mapping[str, int] = {}
    size: int = 0
    """Trained entries, as the library counts them when it numbers added tokens."""
    largest: Reading[int] | None = None
    """Largest id of the trained vocabulary."""
    added: tuple[AddedToken, ...] = ()
    """In file order, ids as stated."""
    first_merge: Reading[str] | Reading[tuple[str, ...]] | None = None
    truncation: Reading[int] | None = None
    """`max_length` of tokenizer.json's own truncation."""
    fixed_length: Reading[int] | None = None
    """The length that tokenizer.json's own padding fills up to."""
    complete: bool = True
    broken: BrokenDocument | None = None
    """Why it cannot be read; everything else is empty then."""


class Truncation(msgspec.Struct, frozen=True, kw_only=True):
    """The length to which the tokenizer's own settings cut every prompt of a processor."""

    limit: Reading[int]
    """Tokens."""
    switch: Reading[bool] | Reading[str] | None = None
    """The setting that turns it on; None where the length alone does, since nothing says that a prompt is padded."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """An object in a JSON file whose keys are settings: the file itself or a section of it."""

    document: JsonDocument
    pointer: str = ""

    def read(self, key: str, *kinds: type[T]) -> Reading[T] | None:
        """The setting if it is of one of the types, else None."""
        return self.document.read(f"{self.pointer}/{key}", *kinds)

    def at(self, key: str = "") -> Location:
        """The place of a setting."""
        return self.document.at(f"{self.pointer}/{key}" if key else self.pointer)

    def get(self, key: str) -> Any:
        """The plain value, None where absent or null."""
        return self.document.get(f"{self.pointer}/{key}")

    def __contains__(self, key: str) -> bool:
        section = self.document.get(self.pointer) if self.pointer else self.document.value
        return isinstance(section, dict) and key in section


class ImageProcessor(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the image processor: preprocessor_config.json, or nested in processor_config.json."""

    settings: Settings
    type: Reading[str] | None = None
    """`image_processor_type`, or the legacy `feature_extractor_type`."""
    others: tuple[Settings, ...] = ()
    """Other copies that this loader passes over and another version would take, such as preprocessor_config.json
    beside a nested section (transformers 4 reads the former, 5 the latter)."""
    patch_size: Reading[int] | None = None
    merge_size: Reading[int] | None = None
    temporal_patch_size: Reading[int] | None = None
    size: Mapping[str, int] = {}
    """`size` with its own keys: height, width, shortest_edge, longest_edge ...; an int or a list is spelled out."""
    crop_size: Mapping[str, int] = {}


class AudioProcessor(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the audio feature extractor."""

    settings: Settings
    type: Reading[str] | None = None
    feature_size: Reading[int] | None = None
    """Mel bins."""
    sampling_rate: Reading[int] | None = None
    """Hertz."""
    others: tuple[Settings, ...] = ()
    """Other copies, which this loader passes over and another version would take; see `ImageProcessor.others`."""


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the processor that joins tokenizer and image processor (processor_config.json)."""

    settings: Settings
    processor_class: Reading[str] | None = None


class ProcessorFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Which processor, tokenizer and template files there are."""

    present: tuple[str, ...]
    """Names of the files; Git LFS pointers and error pages count, they are INT001's."""
    tokenizer: tuple[str, ...] = ()
    """Those of them that a vocabulary can be loaded from."""
    nested_image_processor: bool = False
    """processor_config.json carries the image processor (transformers 5)."""
    usable: tuple[str, ...] = ()
    """Those of them that are what their name says: not a pointer, not an error page, not a dangling link."""
    nested_feature_extractor: bool = False
    nested_video_processor: bool = False


class ChatTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a chat template."""

    at: Location
    text: str
    name: str = "default"
    """Name within a set of templates, such as `default` or `tool_use`."""


class ChatTemplates(msgspec.Struct, frozen=True, kw_only=True):
    """Every copy found, in the order in which transformers prefers them; empty when there is none."""

    copies: tuple[ChatTemplate, ...] = ()


class Expectations(msgspec.Struct, frozen=True, kw_only=True):
    """What a model of this type expects beside its weights, by the library's own mappings."""

    known: bool = False
    """Whether the library has processor classes for the type; the three needs below say nothing otherwise."""
    image: bool = False
    """It loads an image processor."""
    audio: bool = False
    """It loads a feature extractor for sound."""
    tokenizer: bool = False
    placeholders: Mapping[str, str] = {}
    """Role (`image`, `video`, `vision_start` ...) to the processor class's default token."""
    role_keys: Mapping[str, tuple[str, ...]] = {}
    """Role to the settings of processor_config.json and named tokens that hold its token, the best first."""
    hides_placeholders: bool = False
    """The model's code replaces placeholder ids before it looks them up in the embedding."""
    chat: bool | None = None
    """Whether every published model of the type has a chat template (True), or none has one (False)."""
    base_models_exist: bool = False
    """Of a type that has one: base models without a template are published too, and named so."""
    turn_ends: frozenset[str] = frozenset()
    """Tokens that close a turn of a conversation."""
    source: str = ""
    """Library and version that the needs come from."""
