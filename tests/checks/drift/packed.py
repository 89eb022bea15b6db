"""Files of models that pack their images into patches, as facts."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.architectures import multimodal_model, vision_model
from mmdoctor.architectures.patches import patch_geometry
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.parts import Part, Parts, Role
from mmdoctor.facts.patches import PatchGeometry
from mmdoctor.readers.processors import image_processor
from mmdoctor.readers.videos import video_processor

VISION = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "depth": 2}
IMAGES = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}


def config(model_type: str = "qwen2_vl", vision: Mapping[str, Any] = VISION, **more: Any) -> MultimodalModel:
    """A model by its config.json."""
    value = {"model_type": model_type, "vision_config": dict(vision), **more}
    return multimodal_model(ModelConfig(document=JsonDocument(file="config.json", value=value), model_type=model_type))


def geometry(
    model: MultimodalModel, files: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]] | None = None
) -> PatchGeometry:
    """The fact that the model and the JSON files make, in either layout."""
    documents = Documents(by_file={name: JsonDocument(file=name, value=value) for name, value in files.items()})
    try:
        images = image_processor(documents)
    except NotApplicable:
        images = None
    try:
        videos = video_processor(documents)
    except NotApplicable:
        videos = None
    return patch_geometry(model, vision_model(model), images, videos, _parts(tensors) if tensors else None)


def _parts(tensors: Mapping[str, tuple[int, ...]]) -> Parts:
    made = tuple(
        Tensor(name=name, dtype="F32", shape=shape, nbytes=4, file="model.safetensors")
        for name, shape in tensors.items()
    )
    return Parts(parts=(Part(role=Role.VISION, prefix="visual.", tensors=made),))
