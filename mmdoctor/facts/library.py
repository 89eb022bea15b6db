"""Classes of transformers that the files name, and which releases have them."""

import msgspec

from mmdoctor.location import Location, Reading


class NamedClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class that a file names, or leaves to the model type, and that a loader looks up in the library."""

    role: str
    """`image_processor`, `video_processor`, `feature_extractor`, `processor` or `tokenizer`."""
    name: Reading[str] | None
    """As the file states it; None where it does not, and the model type decides."""
    at: Location
    """Where it stands, or should."""
    sought: str = ""
    """The name that is looked up: that of the file, with the legacy `FeatureExtractor` read as `ImageProcessor`."""
    known_by: tuple[str, ...] = ()
    """Releases that have it, out of those whose names are known: the last of transformers 4, and one of 5."""
    unknown_to: tuple[str, ...] = ()
    """Releases that have the model type, and not the class."""
    here: bool | None = None
    """Whether the installed transformers has it; None where none is installed, or it does not have the model type."""
    usual: str | None = None
    """The class that the library has for this role and model type, where that is one and the same in every release."""
    meant: str | None = None
    """A class of every release whose name is so near to the stated one that it must be meant."""


class NamedClasses(msgspec.Struct, frozen=True, kw_only=True):
    """The classes that preprocessing is loaded with, without those that the artefact's own code provides."""

    classes: tuple[NamedClass, ...] = ()
    releases: tuple[str, ...] = ()
    """Releases whose names are known and that have the model type."""
    saved_by: str | None = None
    """Version of transformers that saved the model."""
    tokenizer_attributes: tuple[str, ...] = ()
    """What the processor of transformers 4 takes from its tokenizer and fails without: `image_token` and such."""
    newest: str = ""
    """The newest release whose names are known."""

    def of(self, role: str) -> NamedClass | None:
        """The class of a role, or None."""
        return next((c for c in self.classes if c.role == role), None)
