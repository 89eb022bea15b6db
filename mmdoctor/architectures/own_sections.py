"""Parts beside the towers and the language model that have a section of config.json of their own."""

from collections import Counter
from collections.abc import Iterator, Sequence

from mmdoctor.architectures.names import outermost, role_by_name
from mmdoctor.architectures.parts import part_of
from mmdoctor.architectures.spelling import TEXT_KEYS, SectionReader
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Part, Role


def divided(part: Part, model: MultimodalModel | None) -> Iterator[Part]:
    """A text part, with the decoder apart that stands beside a text encoder.

    An encoder and a decoder that are halves of one language model, as in T5, stay together, unless the configuration
    has a section for each.
    """
    own = set(model.text.other_stacks if model is not None and model.text is not None else ())
    words = {outermost(t.name) for t in part.tensors}
    decoders = {w for w in words if w == "decoder" or w.endswith("_decoder")}
    named = any(found is not None and found[0] is Role.TEXT for found in map(role_by_name, words - decoders))
    if not (decoders <= own or named):
        decoders = set()
    decoder = [t for t in part.tensors if outermost(t.name) in decoders]
    rest = [t for t in part.tensors if outermost(t.name) not in decoders]
    if not (decoder and rest):
        yield part
        return
    yield part_of(part.role, rest)
    yield part_of(Role.DECODER, decoder)


def described_as_text(halves: Sequence[Part], model: MultimodalModel | None) -> Part | None:
    """The half that the configuration's text model is, else the first one."""
    text = model.text if model is not None else None
    for half in halves if len(halves) > 1 and text is not None else ():
        section = section_of(half, model)
        if section is not None and text is not None and section.pointer == text.section:
            return half
    return next(iter(halves), None)


def section_of(part: Part, model: MultimodalModel | None) -> SectionReader | None:
    """The section that is called as the part's names begin: `decoder_config`, or `decoder`, of `decoder.*`."""
    if model is None or not part.tensors:
        return None
    word, _ = Counter(outermost(t.name) for t in part.tensors).most_common(1)[0]
    document = model.config.document
    for name in (f"{word}_config", word, f"{word.removesuffix('_model')}_config"):
        if isinstance(document.get(f"/{name}"), dict):
            return SectionReader(document, f"/{name}", TEXT_KEYS, None)
    return None
