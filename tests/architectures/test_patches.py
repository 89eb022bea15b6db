"""The table of patch sizes against the classes of the installed transformers."""

import pytest

from mmdoctor.architectures.patches import IMAGES, TYPES, VIDEOS

pytestmark = pytest.mark.slow
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(("name", "cut"), [*IMAGES.items(), *VIDEOS.items()], ids=[*IMAGES, *VIDEOS])
def test_class_defaults_are_the_classes_own(name, cut):
    cls = getattr(transformers, name)

    assert (cls.patch_size, cls.merge_size) == (cut.patch, cut.merge)
    assert getattr(cls, "temporal_patch_size", 1) == cut.frames
    if cut.areas is not None:
        assert (cls.size["shortest_edge"], cls.size["longest_edge"]) == (cut.areas.least, cut.areas.most)


@pytest.mark.parametrize("name", [name for name, cut in IMAGES.items() if cut.areas is not None])
def test_max_pixels_counts_or_is_ignored(name):
    made = getattr(transformers, name)(min_pixels=3136, max_pixels=50176)

    assert (made.size["longest_edge"] == 50176) is IMAGES[name].areas.renamed


def test_types_go_with_the_classes_of_the_mappings():
    images = transformers.models.auto.image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES
    videos = transformers.models.auto.video_processing_auto.VIDEO_PROCESSOR_MAPPING_NAMES
    compared = 0
    for model_type, takes in TYPES.items():
        for mapping, name in ((images, takes.images), (videos, takes.videos)):
            mapped = mapping.get(model_type)
            if mapped and name:
                assert name in (mapped.values() if isinstance(mapped, dict) else mapped), model_type
                compared += 1

    assert compared > 30
