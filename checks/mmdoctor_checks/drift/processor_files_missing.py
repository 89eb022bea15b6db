"""DRF019."""

import re
from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.source import FileKind, Source
from mmdoctor.facts.tokenizer import AudioProcessor, Expectations, ImageProcessor, ProcessorFiles
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

_LOADED = frozenset({FileKind.SAFETENSORS, FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY})
"""Kinds of weights that come with processor files; GGUF and ONNX bring their own."""
_OWN_FORMAT = frozenset({"params.json", "genai_config.json", "model_index.json"})
"""Marks of formats with other files: Mistral's own, onnxruntime-genai, a diffusers pipeline."""
_TRAINED = frozenset({"generation_config.json", "trainer_state.json", "training_args.bin", "optimizer.pt"})
"""Files that stand beside a whole model after training, not beside a part of one."""
_COMPONENT = re.compile(r"(text|image|vision|audio|prompt)_(encoder|tower|model)(_\d)?|unet|vae|transformer(_\d)?")
"""Names of a pipeline's folders that hold a bare model."""


@check("DRF019", Severity.ERROR)
def processor_files_missing(
    model: MultimodalModel,
    source: Source,
    documents: Documents,
    files: ProcessorFiles,
    expected: Expectations,
    image: ImageProcessor | None,
    audio: AudioProcessor | None,
) -> Iterator[Problem]:
    """Files that turn a request into tensors were not saved beside the model.

    ## What it checks

    What the library's processor classes load for this model type (image processor, feature extractor for sound,
    tokenizer) against the files that are there, in the layout of transformers 4 (preprocessor_config.json) and of 5
    (a section of processor_config.json). It is silent for models with code of their own (`auto_map`), for formats
    that bring their own files (Mistral's, GGUF, ONNX), and where there are no weights either.

    ## Why it matters

    `AutoProcessor.from_pretrained` fails (`Can't load image processor`), an engine does not start, or, worse, default
    values are used: transformers 5 builds a tokenizer without its vocabulary file from the added tokens alone, and
    every id is wrong.

    ## How to fix it

    Copy the named files from the model that this one was made from. Training and quantisation scripts often save
    only the model: call `processor.save_pretrained` in the same folder.

    ## Sources

    - https://github.com/hiyouga/LLaMA-Factory/issues/7897
    - https://github.com/hiyouga/LLaMA-Factory/issues/8855
    - https://github.com/vllm-project/llm-compressor/issues/1305
    - https://github.com/huggingface/transformers/issues/25804
    - https://github.com/vllm-project/vllm/issues/6934
    - https://github.com/OpenBMB/MiniCPM-V/issues/541
    """
    if not expected.known or not _is_complete_folder(source) or _has_own_code(model, documents):
        return
    architectures = " ".join(model.config.architectures)
    missing = []
    if expected.image and image is None and "TextModel" not in architectures:
        missing.append(
            ("the image processor", "preprocessor_config.json (or processor_config.json with image_processor)")
        )
    if expected.audio and audio is None:
        missing.append(
            ("the feature extractor", "preprocessor_config.json (or processor_config.json with feature_extractor)")
        )
    if expected.tokenizer and not files.tokenizer and _reads_text(model, expected, architectures):
        missing.append(("the tokenizer", "tokenizer.json (or the vocabulary in another format)"))
    if not missing or any(broken.file.endswith("processor_config.json") for broken in documents.broken):
        return
    present = [name for name in files.present if name != "merges.txt"]
    bare = not present
    what = " and ".join(name for name, _ in missing)
    model_type = model.config.model_type
    severity = _severity(bare, source)
    effect = "AutoProcessor and the engines fail on it, or use default values silently"
    if severity is Severity.NOTE:
        effect = "it can serve as a part of a pipeline only, not take requests itself"
    yield Problem(
        f"{model_type} needs {what}, and the folder has no file for {'it' if len(missing) == 1 else 'them'}: {effect}",
        because=[
            Evidence(name, "missing", Location(file=_place(name, model, documents)), expected=file)
            for name, file in missing
        ]
        + [Evidence("processor files here", ", ".join(present) or "none")],
        fix=Fix(f"copy from the base model: {'; '.join(file for _, file in missing)}"),
        severity=severity,
    )


def _is_complete_folder(source: Source) -> bool:
    """A folder with weights that loads by the library's classes, and is no part of a pipeline by its name."""
    if source.single is not None or _COMPONENT.fullmatch(source.name):
        return False
    top = source.top()
    return any(f.kind in _LOADED for f in top) and not any(f.path in _OWN_FORMAT for f in top)


def _has_own_code(model: MultimodalModel, documents: Documents) -> bool:
    return bool(model.remote_code) or any(document.get("/auto_map") for document in documents.by_file.values())


def _reads_text(model: MultimodalModel, expected: Expectations, architectures: str) -> bool:
    """Speech encoders need a tokenizer only to write text; a vision tower alone never does."""
    if re.search(r"VisionModel|VisionTransformer|ForImageClassification", architectures):
        return False
    if expected.audio and not expected.image and model.text is None:
        return bool(re.search(r"CTC|ConditionalGeneration|Seq2Seq|SpeechToText|CausalLM", architectures))
    return True


def _severity(bare: bool, source: Source) -> Severity:
    """Without any such file it may be a bare component; what a trainer leaves says that it was to take requests."""
    return Severity.NOTE if bare and not _TRAINED & {f.path for f in source.top()} else Severity.ERROR


def _place(name: str, model: MultimodalModel, documents: Documents) -> str:
    """The file that would hold it in the layout of the version that saved the model."""
    if name == "the tokenizer":
        return "tokenizer.json"
    version = model.config.transformers_version or "4"
    if model.config.model_type in ("vision-encoder-decoder", "speech-encoder-decoder"):  # they have no joint processor
        return "preprocessor_config.json"
    nested = version.partition(".")[0] not in ("3", "4") or documents.find("processor_config.json") is not None
    return "processor_config.json" if nested else "preprocessor_config.json"
