"""INT009."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.checkpoint import CompleteCheckpoint, Tensor
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import MultimodalModel

_INNER = "language_model."
_SINCE = "4.52"
"""transformers/models/*/modeling_*.py: multimodal models are saved with `model.` before their parts from here on."""
_ENGINE_SINCE = "0.9"
"""vLLM's first release that maps these names (vllm-project/vllm#19054)."""
_NEW = ("model.language_model.", "model.visual.", "model.vision_tower.", "model.multi_modal_projector.")


@check("INT009", Severity.ERROR, yields_to=("INT010",))
def key_layout_rename(complete: CompleteCheckpoint, model: MultimodalModel, libraries: Libraries) -> Iterator[Problem]:
    """The weights have the names of another class, or of another version, than the one that loads them.

    ## What it checks
    - error: `architectures` names a text model, and all its weights stand below `language_model.`, as a multimodal
      model has them: the text class finds none of them. Merging scripts write such folders.
    - error or warning: names as transformers has written them since 4.52 (`model.language_model.*`, `model.visual.*`)
      where the transformers that is to load them, here or in `--env`, is older (error), or a vLLM before 0.9 is
      (error). Where no version is known nothing is said: both layouts are right today.
    - prefixes that are there twice, or that training code left, are INT010's.

    ## Why it matters
    `KeyError: 'language_model.embed_tokens.weight'`, `'visual.patch_embed.proj.weight'`; or `Some weights ... newly
    initialized`, and the model talks nonsense.

    ## How to fix it
    Upgrade the loader, or rename the tensors.

    ## Sources
    - https://github.com/hiyouga/LlamaFactory/issues/8254
    - https://github.com/verl-project/verl/issues/1710
    - https://github.com/vllm-project/vllm/issues/15031
    - https://github.com/huggingface/transformers/issues/38627
    - https://github.com/huggingface/transformers/issues/45361
    """
    tensors = complete.checkpoint.tensors
    if not tensors or model.config.model_type not in class_defaults() or model.remote_code:
        return
    text_only = model.text is not None and model.vision is None and model.audio is None and model.text.is_decoder
    inner = next((t for name, t in tensors.items() if name.startswith((_INNER, f"model.{_INNER}"))), None)
    layers = [name for name in tensors if ".layers." in name]
    if text_only and inner is not None and layers and all(_INNER in name for name in layers):
        yield _of_another_class(inner, model)
        return
    new = next((t for name, t in tensors.items() if name.startswith(_NEW)), None)
    if new is None or model.vision is None:
        return
    for library, version in (("transformers", _SINCE), ("vllm", _ENGINE_SINCE)):
        if libraries.older(library, version):
            yield _of_another_version(new, libraries.named(library), library, version)


def _of_another_class(example: Tensor, model: MultimodalModel) -> Problem:
    named = model.config.architectures[0] if model.config.architectures else str(model.config.model_type)
    return Problem(
        f"all layers stand below `{_INNER}` as in a multimodal model, and {named} is a text model that looks for "
        "`model.layers`: every weight stays random",
        because=[
            Evidence("name of a weight", example.name, example.at, example.name.partition(_INNER)[2]),
            Evidence("class", named, model.config.document.at("/architectures")),
        ],
        fix=Fix(f"take `{_INNER}` off the names, or put the multimodal model's config.json here"),
    )


def _of_another_version(example: Tensor, loader: str, library: str, version: str) -> Problem:
    return Problem(
        f"the weights have the names that transformers writes since {_SINCE}, and {loader} does not know them: "
        "loading stops, or the weights stay random",
        because=[
            Evidence("name of a weight", example.name, example.at, example.name.removeprefix("model.")),
            Evidence("loader", loader, expected=f"{library} {version} or later"),
        ],
        fix=Fix(f"load it with {library} {version} or later"),
    )
