"""The video processor: which file and which section of it a loader takes.

transformers 5.23, video_processing_utils.py, `get_video_processor_dict`: a section of processor_config.json, else
video_preprocessor_config.json, else preprocessor_config.json, whose values are the image processor's. transformers 4.57
takes the two files only.
"""

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.patches import VideoProcessor
from mmdoctor.facts.tokenizer import Settings

PROCESSOR, VIDEO, IMAGE = "processor_config.json", "video_preprocessor_config.json", "preprocessor_config.json"


def video_processor(documents: Documents) -> VideoProcessor:
    """The video processor's settings.

    Raises:
        NotApplicable: no file has settings that a video processor would take.
        Unavailable: the file is there and cannot be parsed.
    """
    for file in (PROCESSOR, VIDEO):
        if trouble := documents.trouble(file):
            raise Unavailable(trouble)
    joint, own, image = (documents.find(file) for file in (PROCESSOR, VIDEO, IMAGE))
    found = []
    if joint is not None and isinstance(joint.get("/video_processor"), dict):
        found.append(Settings(document=joint, pointer="/video_processor"))
    found += [Settings(document=document) for document in (own,) if document is not None]
    borrowed = not found
    if image is not None and borrowed:
        found.append(Settings(document=image))
    if not found:
        raise NotApplicable("no file has settings for videos")
    kind = found[0].get("video_processor_type")
    return VideoProcessor(
        settings=found[0],
        type=kind if isinstance(kind, str) else None,
        others=tuple(found[1:]),
        borrowed=borrowed,
    )
