"""What one thread practises in a step: 32 scenes, each with one task or more, and the losses.

The picture encoder sees each picture once; all texts of about one length go through the text encoder and the fusion
together.

Shapes: B samples, C colour channels, Y and X pixel rows and columns, M image positions, D width, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdoctor.reference import tasks
from mmdoctor.reference.fusion import Streams
from mmdoctor.reference.losses import box_loss, choice_loss
from mmdoctor.reference.model import Encoded, ReferenceModel
from mmdoctor.reference.processor import Processor
from mmdoctor.reference.scenes import Dice, draw, throw_scene
from mmdoctor.reference.tasks import Words, joined
from mmdoctor.reference.vision import patchify

SCENES = 32
"""Scenes in one batch."""


class Mix(NamedTuple):
    """Which of the scenes practise what. Many pictures with a few texts each teach more than few with many."""

    questions: slice
    captions: slice
    matching: slice
    words: slice
    pairs: slice
    patches: slice
    most_pairs: int


SEEING = Mix(slice(0, 16), slice(8, 24), slice(0, 12), slice(12, 16), slice(16, 24), slice(24, 32), 4)
"""First: a caption names everything that is to be seen."""

ANSWERING = Mix(slice(0, 24), slice(14, 26), slice(0, 18), slice(18, 22), slice(22, 26), slice(26, 32), 2)
"""Then: more questions, and more captions to be told right from wrong, for who can see."""

_KINDS: tuple[tasks.MatchingKind, ...] = ("true", "changed", "true", "changed", "true", "other")
"""A changed attribute is harder to see than another scene, so it comes more often than in the evaluation."""


class Practice(NamedTuple):
    """One batch of scenes as tensors."""

    mix: Mix
    pixels_BCYX: Tensor
    questions: tasks.Questions
    captions: tasks.Captions
    matching: tasks.Matching
    words: tasks.MaskedWords
    patches: tasks.MaskedPatches
    pairs: tasks.NextSentence | None


def prepare(
    words: Words, processor: Processor, num_patches: int, *, seed: int, number: int, most_objects: int, mix: Mix
) -> Practice:
    """A batch; every number of a seed has scenes of its own, whatever came before it."""
    thrown = []
    for index in range(number * SCENES, (number + 1) * SCENES):
        dice = Dice("training", seed, index)
        scene = throw_scene(dice, most_objects)
        thrown.append(tasks.Thrown(scene, draw(scene, dice), dice))
    return Practice(
        mix,
        torch.from_numpy(processor.pixel_values([one.picture for one in thrown])),
        tasks.questions(thrown[mix.questions], words, kinds=("answer", "answer", "answer", "find")),
        tasks.captions(thrown[mix.captions], words),
        tasks.matching(thrown[mix.matching], words, kinds=_KINDS),
        tasks.masked_words(thrown[mix.words], words),
        tasks.masked_patches(thrown[mix.patches], words, num_patches),
        tasks.next_sentence(thrown[mix.pairs], words, at_most=mix.most_pairs),
    )


def losses_of(model: ReferenceModel, practice: Practice) -> dict[str, Tensor]:
    """Every task's loss, by its name in `losses.WEIGHTS`."""
    mix, pixels_BCYX, questions, captions, matching, words, patches, pairs = practice
    masked_BN = torch.zeros(SCENES, patches.masked_BN.shape[1], dtype=torch.bool)
    masked_BN[mix.patches] = patches.masked_BN
    image_BMD = model.vision_model(pixels_BCYX, masked_BN)

    asked, told = _encode(
        model, [(image_BMD[mix.questions], questions.texts), (image_BMD[mix.captions], captions.texts)]
    )
    longer = [
        (image_BMD[mix.matching], matching.texts),
        (image_BMD[mix.words], words.texts),
        (image_BMD[mix.patches], patches.texts),
    ]
    if pairs is not None:
        longer.append((image_BMD[mix.pairs][pairs.samples], pairs.texts))
    compared, worded, patched, *paired = _encode(model, longer)

    heads = model.heads
    named_B = questions.boxes_B4[:, 2] > 0
    losses = {
        "answer": choice_loss(heads.answer(asked.vector_BD), questions.answers_B),
        "box": box_loss(heads.box(asked.vector_BD[named_B]), questions.boxes_B4[named_B]),
        "caption": choice_loss(model.write(captions.written_BU, told), captions.next_BU),
        "match": choice_loss(heads.matching(compared.vector_BD), matching.true_B),
        "words": _masked_word_loss(model, worded, words),
        "patches": _masked_patch_loss(model, patched, patches, pixels_BCYX[mix.patches]),
    }
    if pairs is not None and heads.next_sentence is not None:
        text_BTD = paired[0].fused.text_BTD
        assert text_BTD is not None
        losses["next sentence"] = choice_loss(heads.next_sentence(text_BTD[:, 0]), pairs.other_B)
    return losses


def _encode(model: ReferenceModel, parts: list[tuple[Tensor, tasks.Texts]]) -> list[Encoded]:
    """All pairs of image features and texts through text encoder and fusion in one go, and cut apart again."""
    encoded = model.encode(
        image_features=torch.cat([image_BMD for image_BMD, _ in parts]),
        **joined([texts for _, texts in parts])._asdict(),
    )
    results, start = [], 0
    for _, part in parts:
        samples, length = part.input_ids.shape
        end = start + samples
        image, text, mask = encoded.fused
        assert image is not None
        assert text is not None
        assert mask is not None
        fused = Streams(image[start:end], text[start:end, :length], mask[start:end, :length])
        results.append(
            Encoded(
                image_features_BMD=None, text_features_BTD=None, fused=fused, vector_BD=encoded.vector_BD[start:end]
            )
        )
        start = end
    return results


def _masked_word_loss(model: ReferenceModel, encoded: Encoded, words: tasks.MaskedWords) -> Tensor:
    text_BTD = encoded.fused.text_BTD
    assert text_BTD is not None
    chosen = words.words_BT != tasks.IGNORED
    return F.cross_entropy(model.heads.masked_token(text_BTD[chosen]), words.words_BT[chosen])


def _masked_patch_loss(
    model: ReferenceModel, encoded: Encoded, patches: tasks.MaskedPatches, pixels_BCYX: Tensor
) -> Tensor:
    image_BMD = encoded.fused.image_BMD
    assert image_BMD is not None
    predicted = model.heads.masked_patch(image_BMD[:, 1:][patches.masked_BN])
    wanted = patchify(pixels_BCYX, model.config.vision_config.patch_size)[patches.masked_BN]
    return F.mse_loss(predicted, wanted)
