"""One vector a sample, and the heads that read it, or the fused positions, for each task.

One space for image and text: Radford et al. 2021, "CLIP", https://arxiv.org/abs/2103.00020.
Tasks on one shared representation: Caruana 1997, "Multitask Learning", https://doi.org/10.1023/A:1007379606734.
Answers as classes: Antol et al. 2015, "VQA", https://arxiv.org/abs/1505.00468, section 5.
Box: Carion et al. 2020, "DETR", https://arxiv.org/abs/2005.12872 (three layers, centre and size in 0..1).
Matching: Li et al. 2021, "ALBEF", https://arxiv.org/abs/2107.07651, section 3.2.
Masked words, next sentence: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1.
Masked patches, pixels by one linear map: Xie et al. 2021, "SimMIM", https://arxiv.org/abs/2111.09886.

Shapes: B samples, T tokens, N patches, D width, V vocabulary, A answers, Q numbers in a patch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.reference.layers import FeedForward


class UnifiedRepresentation(nn.Module):
    """One vector a sample, in one space, from an image, a text, or both.

    Each modality has a linear map into the space; the vector is the normalised sum. A modality that is not there
    is spoken for by a learned vector.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.image_projection = nn.Linear(width, width)
        self.text_projection = nn.Linear(width, width)
        self.absent_image = nn.Parameter(torch.empty(width))
        self.absent_text = nn.Parameter(torch.empty(width))
        self.layer_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, image_BD: Tensor | None, text_BD: Tensor | None) -> Tensor:
        """Raises `ValueError` when both are absent."""
        if image_BD is None and text_BD is None:
            raise ValueError("there is neither an image nor a text")
        image = self.absent_image if image_BD is None else self.image_projection(image_BD)
        text = self.absent_text if text_BD is None else self.text_projection(text_BD)
        vector_BD: Tensor = self.layer_norm(image + text)
        return vector_BD


class BoxHead(nn.Module):
    """Vector to the box of the named object: centre x, centre y, width, height, as fractions of the picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 4)

    def forward(self, vector_BD: Tensor) -> Tensor:
        box_B4: Tensor = self.fc3(F.relu(self.fc2(F.relu(self.fc1(vector_BD)))))
        return box_B4.sigmoid()


class MaskedTokenHead(nn.Module):
    """Fused text positions to logits of the word that stood there."""

    def __init__(self, width: int, vocab_size: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width, eps=eps)
        self.decoder = nn.Linear(width, vocab_size)

    def forward(self, text_BTD: Tensor) -> Tensor:
        logits_BTV: Tensor = self.decoder(self.layer_norm(F.gelu(self.dense(text_BTD))))
        return logits_BTV


class NextSentenceHead(nn.Module):
    """[CLS] position to logits (segment B follows segment A, it does not)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, 2)

    def forward(self, cls_BD: Tensor) -> Tensor:
        logits_B2: Tensor = self.classifier(self.pooler(cls_BD).tanh())
        return logits_B2


class Heads(nn.Module):
    """All heads but the generation's, which is the decoder and `lm_head`."""

    def __init__(
        self, width: int, *, answers: int, vocab_size: int, patch_values: int, next_sentence: bool, eps: float
    ) -> None:
        super().__init__()
        self.answer = FeedForward(width, width, answers)
        self.box = BoxHead(width)
        self.matching = FeedForward(width, width, 2)
        self.masked_token = MaskedTokenHead(width, vocab_size, eps)
        self.masked_patch = nn.Linear(width, patch_values)
        self.next_sentence = NextSentenceHead(width) if next_sentence else None
