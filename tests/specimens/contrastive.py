"""Two towers and one space: images against texts."""

from typing import Any

import transformers as t

from tests.specimens import speakers, vocabulary
from tests.specimens.configs import HIDDEN, SMALL
from tests.specimens.constants import BICUBIC, BILINEAR, HALVES, OPENAI, shortest, square
from tests.specimens.recipe import Made, recipe

PAIR = {"auto": "AutoModel", "feed": "contrast", "dtype": "float32"}


def clip_speaker(positions: int = 77, **special: Any) -> Any:
    """CLIP's tokenizer, padded with its end mark."""
    end = "<|endoftext|>"
    roles = {"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": end} | special
    return speakers.speaker(vocabulary.clip(), "CLIPTokenizer", **roles, model_max_length=positions)


def clip_text(tokenizer: Any, positions: int = 77, **more: Any) -> dict[str, Any]:
    """The text tower, which pools where its eos id stands."""
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    ids |= {"pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer)}
    return SMALL | ids | {"max_position_embeddings": positions, "projection_dim": HIDDEN} | more


@recipe("clip", **PAIR)
def clip() -> Made:
    """ViT-B/32 at 224 pixels."""
    tokenizer = clip_speaker()
    config = t.CLIPConfig(
        text_config=clip_text(tokenizer),
        vision_config=SMALL | {"image_size": 224, "patch_size": 32, "projection_dim": HIDDEN},
        projection_dim=HIDDEN,
    )
    images = t.CLIPImageProcessor(**shortest(224), **OPENAI)
    return Made(model=t.CLIPModel(config), processors=(t.CLIPProcessor(image_processor=images, tokenizer=tokenizer),))


@recipe("siglip", **PAIR, padding="max_length")
def siglip() -> Made:
    """Base, patches of 16 at 224 pixels; texts padded to 64 without a mask."""
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>", "model_input_names": ["input_ids"]}
    tokenizer = speakers.speaker(vocabulary.unigram(lower=True), **special, model_max_length=64, padding_side="right")
    text = SMALL | {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": HIDDEN}
    config = t.SiglipConfig(
        text_config=text | {"pad_token_id": 1, "eos_token_id": 1, "bos_token_id": None},
        vision_config=SMALL | {"image_size": 224, "patch_size": 16},
    )
    images = t.SiglipImageProcessor(size=square(224), resample=BICUBIC, **HALVES)
    processor = t.SiglipProcessor(image_processor=images, tokenizer=tokenizer)
    return Made(model=t.SiglipModel(config), processors=(processor,))


@recipe("siglip2", **PAIR, padding="max_length")
def siglip2() -> Made:
    """NaFlex: 256 patches of 16 in the image's own aspect ratio; Gemma's vocabulary."""
    backend = vocabulary.sentencepiece(("<pad>", "<eos>", "<bos>", "<unk>"), "<bos>", prepend=False)
    end = [("<eos>", 1)]
    backend.post_processor = vocabulary.processors.TemplateProcessing(
        single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=end
    )
    special = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    if not speakers.V5:
        special |= {"add_bos_token": False, "add_eos_token": True}
    tokenizer = speakers.speaker(
        backend,
        "GemmaTokenizer",
        **special,
        model_input_names=["input_ids"],
        model_max_length=64,
        padding_side="right",
    )
    text = SMALL | {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": HIDDEN}
    config = t.Siglip2Config(
        text_config=text | {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2},
        vision_config=SMALL | {"num_patches": 256, "patch_size": 16},
    )
    images = t.Siglip2ImageProcessor(patch_size=16, max_num_patches=256, resample=BILINEAR, **HALVES)
    processor = t.Siglip2Processor(image_processor=images, tokenizer=tokenizer)
    return Made(model=t.Siglip2Model(config), processors=(processor,))


@recipe("vision-text-dual-encoder", **PAIR)
def vision_text_dual_encoder() -> Made:
    """A ViT and a BERT side by side."""
    tokenizer = speakers.bert()
    config = t.VisionTextDualEncoderConfig.from_vision_text_configs(
        t.ViTConfig(**SMALL, image_size=224, patch_size=16),
        t.BertConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=512),
        projection_dim=HIDDEN,
    )
    images = t.ViTImageProcessor(size=square(224), resample=BILINEAR, **HALVES)
    processor = t.VisionTextDualEncoderProcessor(images, tokenizer)
    return Made(model=t.VisionTextDualEncoderModel(config), processors=(processor,))


@recipe("altclip", **PAIR)
def altclip() -> Made:
    """CLIP's eyes, XLM-RoBERTa's tongue."""
    tokenizer = speakers.xlm_roberta()
    words = SMALL | {"vocab_size": len(tokenizer), "max_position_embeddings": 514, "project_dim": HIDDEN}
    config = t.AltCLIPConfig(
        text_config=words | {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
        vision_config=SMALL | {"image_size": 224, "patch_size": 14, "projection_dim": HIDDEN},
        projection_dim=HIDDEN,
    )
    images = t.CLIPImageProcessor(**shortest(224), **OPENAI)
    processor = t.AltCLIPProcessor(image_processor=images, tokenizer=tokenizer)
    return Made(model=t.AltCLIPModel(config), processors=(processor,))


@recipe("flava", auto="AutoModel", feed="caption", dtype="float32", prompt="A red dog", padding="max_length")
def flava() -> Made:
    """Image, text and both together, with a codebook of images."""
    tokenizer = speakers.bert()
    config = t.FlavaConfig(
        text_config=SMALL | {"vocab_size": len(tokenizer), "max_position_embeddings": 512},
        image_config=SMALL | {"image_size": 224, "patch_size": 16, "vocab_size": 8192},
        multimodal_config=SMALL,
        image_codebook_config={"hidden_size": 16, "vocab_size": 8192, "num_blocks_per_group": 1},
        hidden_size=HIDDEN,
        projection_dim=HIDDEN,
    )
    images = t.FlavaImageProcessor(
        size=square(224), crop_size=square(224), codebook_size=square(112), codebook_crop_size=square(112), **OPENAI
    )
    processor = t.FlavaProcessor(image_processor=images, tokenizer=tokenizer)
    return Made(model=t.FlavaModel(config), processors=(processor,))


def _owl(version: str, side: int, patch: int, model: Any, configured: Any, images: Any) -> Made:
    tokenizer = clip_speaker(16, pad_token="!")
    text = clip_text(tokenizer, 16)
    text.pop("projection_dim")
    config = configured(
        text_config=text, vision_config=SMALL | {"image_size": side, "patch_size": patch}, projection_dim=HIDDEN
    )
    processor = getattr(t, f"{version}Processor")(image_processor=images, tokenizer=tokenizer)
    return Made(model=model(config), processors=(processor,))


@recipe("owlvit", auto="AutoModelForZeroShotObjectDetection", feed="contrast", dtype="float32", padding="max_length")
def owlvit() -> Made:
    """Boxes for words, 768 pixels."""
    images = t.OwlViTImageProcessor(size=square(768), crop_size=square(768), resample=BICUBIC, **OPENAI)
    return _owl("OwlViT", 768, 32, t.OwlViTForObjectDetection, t.OwlViTConfig, images)


@recipe("owlv2", auto="AutoModelForZeroShotObjectDetection", feed="contrast", dtype="float32", padding="max_length")
def owlv2() -> Made:
    """Boxes for words, 960 pixels on a padded square."""
    images = t.Owlv2ImageProcessor(size=square(960), resample=BILINEAR, **OPENAI)
    return _owl("Owlv2", 960, 16, t.Owlv2ForObjectDetection, t.Owlv2Config, images)
