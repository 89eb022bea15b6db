"""The chat template at work: what it writes for a text, an image, a video and a sound."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.templates import RenderedTemplate, Rendering
from mmdoctor.facts.tokenizer import ChatTemplates, Tokenizer
from mmdoctor.probes.templates.values import TemplateFailed, TooMuch, Unsupported

QUESTION = "What do you see and hear?"
KINDS = ("image", "video", "audio")


def rendered_template(templates: ChatTemplates, tokenizer: Tokenizer | None) -> RenderedTemplate:
    """The default template, rendered for each kind of message as `apply_chat_template` does.

    Raises:
        NotApplicable: there is no template.
        Unavailable: it is too long, or too deep, to be one.
    """
    template = next((copy for copy in templates.copies if copy.name == "default"), None)
    if template is None:
        raise NotApplicable("there is no chat template")
    from mmdoctor.probes.templates.interpreter import Interpreter
    from mmdoctor.probes.templates.syntax import parse

    try:
        tree = parse(template.text)
    except TemplateFailed as failure:
        return RenderedTemplate(template=template, broken=str(failure), line=failure.line)
    except TooMuch as reason:
        raise Unavailable(f"the chat template was not rendered: {reason}") from None

    def render(content: Any) -> Rendering:
        variables = {
            "messages": [{"role": "user", "content": content}],
            "tools": None,
            "documents": None,
            "add_generation_prompt": True,
            **_special_tokens(tokenizer),
        }
        try:
            return Rendering(text=Interpreter(variables).render(tree))
        except TemplateFailed as failure:
            return Rendering(failure=str(failure), line=failure.line)
        except TooMuch as reason:
            return Rendering(endless=str(reason))
        except Unsupported as reason:
            return Rendering(unknown=str(reason))

    question = {"type": "text", "text": QUESTION}
    contents = {"words": QUESTION, "text": [question], **{kind: [{"type": kind}, question] for kind in KINDS}}
    renderings: dict[str, Rendering] = {}
    for kind, content in contents.items():
        renderings[kind] = render(content)
        if renderings[kind].endless:  # and so would be the rest
            break
    return RenderedTemplate(template=template, renderings=renderings)


def _special_tokens(tokenizer: Tokenizer | None) -> Mapping[str, str]:
    """What the library hands over of the tokenizer (`special_tokens_map`)."""
    if tokenizer is None:
        return {}
    return {name: reading.value for name, reading in tokenizer.named.items() if name.endswith("_token")}
