"""Which of the classes that the files name transformers has: the installed one, by its files, and known releases."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mmdoctor.architectures import library_classes
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.library import NamedClass, NamedClasses
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.tokenizer import AudioProcessor, ImageProcessor, Settings
from mmdoctor.location import Location, Reading
from mmdoctor.versions import older

_NAME = re.compile(r"[A-Za-z]\w{0,199}", re.ASCII)
_SOURCES = re.compile(r"(image_processing|processing|video_processing|feature_extraction|tokenization)_?\w*\.py")
_AUTO = {
    "image_processor": "AutoImageProcessor",
    "video_processor": "AutoVideoProcessor",
    "feature_extractor": "AutoFeatureExtractor",
    "processor": "AutoProcessor",
    "tokenizer": "AutoTokenizer",
}
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")


def named_classes(
    documents: Documents,
    model: MultimodalModel,
    image: ImageProcessor | None,
    sound: AudioProcessor | None,
    libraries: Libraries,
) -> NamedClasses:
    """The classes that image processor, feature extractor, processor and tokenizer are loaded with."""
    model_type = model.config.model_type or ""
    folder = _folder() if libraries.at_hand and libraries.version("transformers") else None
    installed = Installed(folder, libraries.version("transformers") or "") if folder else None
    classes, lines = [], [library_classes.line(major) for major in ("4", "5")]
    for role, name, at, majors in _stated(documents, image, sound):
        if not _has_code(role, documents):
            classes.append(_looked_up(role, name, at, model_type, installed, majors))
    return NamedClasses(
        classes=tuple(classes),
        releases=tuple(line.version for line in lines if model_type in line.model_types),
        tokenizer_attributes=lines[0].tokenizer_attributes.get(model_type, ()),
        saved_by=model.config.transformers_version,
        newest=lines[-1].version,
    )


def _stated(
    documents: Documents, image: ImageProcessor | None, sound: AudioProcessor | None
) -> Iterator[tuple[str, Reading[str] | None, Location, tuple[str, ...]]]:
    """(role, name, place, lines that take it from there) of every class that a loader looks for."""
    both = ("4", "5")
    if image is not None:
        # Of two copies, 5.23 takes the section of processor_config.json and 4.57 the file of its own.
        for settings, majors in (
            (image.settings, ("5",) if image.others else both),
            *((other, ("4",)) for other in image.others[:1]),
        ):
            name = settings.read("image_processor_type", str) or settings.read("feature_extractor_type", str)
            yield "image_processor", name, name.at if name else settings.at(), majors
    video = _section(documents, "video_processor", "video_preprocessor_config.json")
    if video is not None and (kind := video.read("video_processor_type", str)):
        yield "video_processor", kind, kind.at, both
    if sound is not None and (kind := sound.settings.read("feature_extractor_type", str)):
        yield "feature_extractor", kind, kind.at, both
    for file in (*_PROCESSOR_FILES, "tokenizer_config.json"):  # the order of AutoProcessor.from_pretrained
        document = documents.find(file)
        if document is not None and (joint := document.read("/processor_class", str)):
            yield "processor", joint, joint.at, both
            break
    config, tokenizer = documents.find("config.json"), documents.find("tokenizer_config.json")
    for document in filter(None, (tokenizer, config)):
        if kind := document.read("/tokenizer_class", str):
            yield "tokenizer", kind, kind.at, both
            break


def _section(documents: Documents, key: str, file: str) -> Settings | None:
    """The settings of a part: a section of processor_config.json, else a file of its own."""
    joint, own = documents.find("processor_config.json"), documents.find(file)
    if joint is not None and isinstance(joint.get(f"/{key}"), dict):
        return Settings(document=joint, pointer=f"/{key}")
    return Settings(document=own) if own is not None else None


def _has_code(role: str, documents: Documents) -> bool:
    """Whether an `auto_map` names code of the artefact for the part, or for the model as a whole.

    A model with own code has own processors, which it often loads itself, whatever the files beside it are named.
    """
    wanted = {_AUTO[role], "AutoConfig", "AutoModel"}
    if role == "image_processor":
        wanted.add("AutoFeatureExtractor")
    return any(_mapped(document) & wanted for document in documents.by_file.values())


def _mapped(document: JsonDocument) -> set[str]:
    maps = [document.get("/auto_map"), *(document.get(f"/{role}/auto_map") for role in _AUTO)]
    names = {str(key) for found in maps if isinstance(found, dict) for key in found}
    if any(isinstance(found, list) for found in maps):  # the legacy form of tokenizers with code
        names.add("AutoTokenizer")
    return names | ({"AutoModel"} if any(name.startswith("AutoModel") for name in names) else set())


def _looked_up(
    role: str,
    name: Reading[str] | None,
    at: Location,
    model_type: str,
    installed: "Installed | None",
    majors: tuple[str, ...],
) -> NamedClass:
    sought = name.value if name else ""
    if role == "image_processor" and (at.pointer or "").endswith("/feature_extractor_type"):
        sought = sought.replace("FeatureExtractor", "ImageProcessor")
    known, unknown = [], []
    for major in majors:
        line = library_classes.line(major)
        mapped = model_type in line.of(role)
        if any(map(line.knows, library_classes.spellings(role, sought, major))) if name else mapped:
            known.append(line.version)
        elif model_type in line.model_types:
            unknown.append(line.version)
    here = None
    if installed is not None and installed.major in majors:
        here = _is_here(role, sought if name else None, model_type, installed)
    return NamedClass(
        role=role,
        name=name,
        at=at,
        sought=sought,
        known_by=tuple(known),
        unknown_to=tuple(unknown),
        here=here,
        usual=library_classes.usual(role, model_type),
        meant=library_classes.meant(role, sought, model_type) if unknown and not known else None,
    )


def _is_here(role: str, sought: str | None, model_type: str, installed: "Installed") -> bool | None:
    """Whether the installed release has the class, or one for the model type; None where it lacks the model type."""
    if sought is not None and any(map(installed.has_class, library_classes.spellings(role, sought, installed.major))):
        return True
    if not installed.names(model_type):
        return None
    return sought is None and installed.maps(role, model_type)


class Installed:
    """The installed transformers, looked at through its files: nothing of it is imported.

    Args:
        folder: where its package lies.
        version: its version.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.version = version
        self.major = "4" if older(version, "5.0.dev0") else "5"
        self._folder = folder
        lines = (library_classes.line(major) for major in ("4", "5"))
        self._line = next((line for line in lines if line.version == version), None)
        self._auto: dict[str, str] = {}

    def has_class(self, name: str) -> bool:
        """Whether the package has a class of that name: in the AutoClasses' mappings, or in a module of its own."""
        if self._line is not None:
            return self._line.knows(name)
        if not _NAME.fullmatch(name):
            return False
        return self._quotes(name) or any(f"class {name}(" in text for text in self._modules())

    def names(self, model_type: str) -> bool:
        """Whether the package has that model type."""
        if self._line is not None:
            return model_type in self._line.model_types
        return self._quotes(model_type)

    def maps(self, role: str, model_type: str) -> bool:
        """Whether the package has a class of that role for the model type; True where its files do not tell."""
        return self._line is None or model_type in self._line.of(role)

    def _quotes(self, word: str) -> bool:
        if not self._auto:
            self._auto = dict(self._read(self._folder / "models" / "auto"))
        return any(f'"{word}"' in text for text in self._auto.values())

    def _modules(self) -> Iterator[str]:
        """Texts of the modules that define processors and tokenizers: a few thousand, read on suspicion only."""
        for entry in (self._folder, *sorted((self._folder / "models").iterdir())):
            if entry.is_dir():
                yield from (text for _, text in self._read(entry, _SOURCES))

    def _read(self, folder: Path, named: re.Pattern[str] = re.compile(r"\w+\.py")) -> Iterator[tuple[str, str]]:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names are enough, and there are a thousand folders
            if named.fullmatch(name):
                try:
                    yield name, (folder / name).read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError):
                    continue


def _folder() -> Path | None:
    """Where transformers would be imported from; None where its files are not found (an editable installation)."""
    for entry in sys.path:
        folder = Path(entry or ".") / "transformers"
        if (folder / "models" / "auto").is_dir():
            return folder
    return None
