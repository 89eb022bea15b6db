"""The chat template at work: what it writes for a text, an image, a video and a sound."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.templates import RenderedTemplate, Rendering
from mmdoctor.facts.tokenizer import ChatTemplates, Tokenizer
from mmdoctor.probes.templates.values import TemplateFailed, TooMuch, Unsupported

QUESTION, ANSWER, AGAIN = "What do you see and hear?", "A dog that barks.", "And what is its name?"
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

    def render(*contents: Any) -> Rendering:
        """The conversation of these messages, question and answer in turn."""
        messages = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]
        variables = {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": len(contents) % 2 == 1,
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

    question = _part(QUESTION)
    contents = {"words": QUESTION, "text": [question], **{kind: [{"type": kind}, question] for kind in KINDS}}
    renderings: dict[str, Rendering] = {}
    for kind, content in contents.items():
        renderings[kind] = render(content)
        if renderings[kind].endless:  # and so would be the rest
            return RenderedTemplate(template=template, renderings=renderings)
    words, parts = (QUESTION, ANSWER, AGAIN), ([question], [_part(ANSWER)], [_part(AGAIN)])
    after = [_between(render(*turns[:2]).text, ANSWER) for turns in (parts, words)]
    then = [_between(render(*turns).text, ANSWER, AGAIN) for turns in (parts, words)]
    return RenderedTemplate(
        template=template,
        renderings=renderings,
        after_answer=next((text for text in after if text is not None), None),
        after_turn=next((text for text in then if text is not None), None),
    )


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _between(prompt: str | None, start: str, end: str | None = None) -> str | None:
    """What stands between two texts that the prompt has once, or after the first."""
    if prompt is None or prompt.count(start) != 1 or "{'type'" in prompt:
        return None
    _, _, rest = prompt.partition(start)
    if end is None:
        return rest
    found, _, tail = rest.partition(end)
    return found if tail or rest.endswith(end) else None


def _special_tokens(tokenizer: Tokenizer | None) -> Mapping[str, str]:
    """What the library hands over of the tokenizer (`special_tokens_map`)."""
    if tokenizer is None:
        return {}
    return {name: reading.value for name, reading in tokenizer.named.items() if name.endswith("_token")}
