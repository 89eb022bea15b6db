"""The reference model: an image encoder, a text encoder, a fusion, a decoder, and heads for every task.

Features of either encoder meet the others by one linear map: Liu et al. 2023, "LLaVA", https://arxiv.org/abs/2304.08485.

Shapes: B samples, C colour channels, Y and X pixel rows and columns, M image positions (class token, then N patches),
T text tokens, U written tokens, S = M + T memory positions, D width, V vocabulary, A answers, Q numbers in a patch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmdoctor.reference.config import ReferenceConfig
from mmdoctor.reference.decoder import Decoder, DecoderCache
from mmdoctor.reference.fusion import Streams, build_fusion
from mmdoctor.reference.heads import Heads, UnifiedRepresentation
from mmdoctor.reference.text import TextModel
from mmdoctor.reference.vision import VisionModel


class MultiModalProjector(nn.Module):
    """Features of either encoder to the width of the fusion."""

    def __init__(self, vision_width: int, text_width: int, width: int) -> None:
        super().__init__()
        self.vision = nn.Linear(vision_width, width)
        self.text = nn.Linear(text_width, width)


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What the model made of an image, a text, or both."""

    image_features_BMD: Tensor | None
    """From the image encoder alone."""
    text_features_BTD: Tensor | None
    """From the text encoder alone."""
    fused: Streams
    """Behind the fusion."""
    vector_BD: Tensor
    """The unified representation: one vector a sample."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Everything that the heads say about a batch of pictures with a text each."""

    encoded: Encoded
    answer_logits_BA: Tensor
    box_B4: Tensor
    """Centre x, centre y, width, height, as fractions of the picture."""
    matching_logits_B2: Tensor
    """(the text is not about the picture, it is)."""
    masked_token_logits_BTV: Tensor
    masked_patches_BNQ: Tensor
    """Pixel values as the processor scales them, in the order of `vision.patchify`."""
    next_sentence_logits_B2: Tensor | None
    caption_logits_BUV: Tensor | None
    """Next written token at each written one; None when nothing was written."""


class ReferenceModel(nn.Module):
    """Builds every part from the configuration; weights are as torch leaves them until a state dict is loaded."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        vision, text, fusion, decoder = (
            config.vision_config,
            config.text_config,
            config.fusion_config,
            config.decoder_config,
        )
        width = fusion.hidden_size
        self.vision_model = VisionModel(vision)
        self.text_model = TextModel(text)
        self.multi_modal_projector = MultiModalProjector(vision.hidden_size, text.hidden_size, width)
        self.fusion = build_fusion(fusion)
        self.unified = UnifiedRepresentation(width, fusion.layer_norm_eps)
        self.heads = Heads(
            width,
            answers=len(config.id2label),
            vocab_size=text.vocab_size,
            patch_values=vision.patch_values,
            next_sentence=text.next_sentence,
            eps=fusion.layer_norm_eps,
        )
        self.decoder = Decoder(decoder)
        self.lm_head = nn.Linear(decoder.hidden_size, decoder.vocab_size, bias=False)

    def encode(
        self,
        *,
        pixel_values: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        masked_patches: Tensor | None = None,
        image_features: Tensor | None = None,
    ) -> Encoded:
        """Encoders, fusion and unified vector, for an image, a text, or both.

        Args:
            pixel_values: pictures_BCYX, as the processor makes them.
            input_ids: tokens_BT.
            attention_mask: mask_BT, 1 for a token, 0 for padding; all ones when left out.
            token_type_ids: segments_BT, 0 or 1; all 0 when left out.
            masked_patches: mask_BN, true where a learned vector takes the patch's place.
            image_features: features_BMD that `vision_model` gave for the pictures, in place of `pixel_values`: several
                texts about one picture need its features only once.

        Raises:
            ValueError: neither an image nor a text is there, or their shapes do not fit the model.
        """
        image_BMD = image_features
        text_BTD = projected_image_BMD = projected_text_BTD = None
        if pixel_values is not None:
            image_BMD = self.vision_model(pixel_values, masked_patches)
        if image_BMD is not None:
            projected_image_BMD = self.multi_modal_projector.vision(image_BMD)
        if input_ids is not None:
            attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            text_BTD = self.text_model(input_ids, attention_mask, token_type_ids)
            projected_text_BTD = self.multi_modal_projector.text(text_BTD)
        if image_BMD is None and text_BTD is None:
            raise ValueError("there is neither an image (pixel_values) nor a text (input_ids)")
        fused: Streams = self.fusion(Streams(projected_image_BMD, projected_text_BTD, attention_mask))
        vector_BD = self.unified(
            None if fused.image_BMD is None else fused.image_BMD[:, 0],
            None if fused.text_BTD is None else fused.text_BTD[:, 0],
        )
        return Encoded(image_features_BMD=image_BMD, text_features_BTD=text_BTD, fused=fused, vector_BD=vector_BD)

    def forward(
        self,
        pixel_values: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        masked_patches: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
    ) -> Outputs:
        """All heads at once, for pictures with a text each; see `encode` for the arguments."""
        encoded = self.encode(
            pixel_values=pixel_values,
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            masked_patches=masked_patches,
        )
        image_BMD, text_BTD, _ = encoded.fused
        assert image_BMD is not None
        assert text_BTD is not None
        heads, vector_BD = self.heads, encoded.vector_BD
        return Outputs(
            encoded=encoded,
            answer_logits_BA=heads.answer(vector_BD),
            box_B4=heads.box(vector_BD),
            matching_logits_B2=heads.matching(vector_BD),
            masked_token_logits_BTV=heads.masked_token(text_BTD),
            masked_patches_BNQ=heads.masked_patch(image_BMD[:, 1:]),
            next_sentence_logits_B2=None if heads.next_sentence is None else heads.next_sentence(text_BTD[:, 0]),
            caption_logits_BUV=None if decoder_input_ids is None else self.write(decoder_input_ids, encoded),
        )

    def write(self, written_BU: Tensor, encoded: Encoded, cache: DecoderCache | None = None) -> Tensor:
        """Logits of the next token at each written one; with a cache, of the tokens behind those in it."""
        memory_BSD, mask_BS = encoded.fused.joined()
        logits_BUV: Tensor = self.lm_head(self.decoder(written_BU, memory_BSD, mask_BS, cache))
        return logits_BUV

    @torch.inference_mode()
    def generate(self, encoded: Encoded, *, max_new_tokens: int) -> Tensor:
        """Most likely tokens one by one, up to the longest sample's end; padding behind a sample's own end."""
        config, cache = self.config, DecoderCache()
        samples, device = len(encoded.vector_BD), encoded.vector_BD.device
        next_B1 = torch.full((samples, 1), config.decoder_start_token_id, device=device)
        written, done_B1 = [next_B1], torch.zeros(samples, 1, dtype=torch.bool, device=device)
        for _ in range(max_new_tokens):
            next_B1 = self.write(next_B1, encoded, cache)[:, -1:].argmax(-1)
            next_B1 = next_B1.masked_fill(done_B1, config.pad_token_id)
            written.append(next_B1)
            done_B1 = done_B1 | (next_B1 == config.eos_token_id)
            if bool(done_B1.all()):
                break
        return torch.cat(written, dim=1)
