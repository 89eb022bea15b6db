"""Models that look at an image and speak, by other ways than LLaVA's: BLIP and after, and those before it."""

from typing import Any

import transformers as t

from tests.specimens import speakers, templates, vocabulary
from tests.specimens.configs import HIDDEN, SMALL, decoder, generation
from tests.specimens.constants import BICUBIC, BILINEAR, HALVES, IMAGENET, OPENAI, shortest, square
from tests.specimens.recipe import Made, recipe

READS = {"auto": "AutoModelForImageTextToText", "feed": "caption"}
TROCR_LENGTH = 512


def _blip_images(side: int) -> Any:
    return t.BlipImageProcessor(size=square(side), resample=BICUBIC, **OPENAI)


@recipe("blip", **READS, dtype="float32", prompt="a picture of")
def blip() -> Made:
    """Captions from 384 pixels; BERT's vocabulary with `[DEC]` and `[ENC]` at its end."""
    tokenizer = speakers.bert(more=("[DEC]", "[ENC]"))
    ids = tokenizer.convert_tokens_to_ids
    text = SMALL | {"vocab_size": len(tokenizer), "encoder_hidden_size": HIDDEN, "max_position_embeddings": 512}
    text |= {
        "bos_token_id": ids("[DEC]"),
        "sep_token_id": ids("[SEP]"),
        "eos_token_id": ids("[SEP]"),
        "pad_token_id": 0,
    }
    config = t.BlipConfig(
        text_config=text | {"projection_dim": HIDDEN},
        vision_config=SMALL | {"image_size": 384, "patch_size": 16},
        projection_dim=HIDDEN,
        image_text_hidden_size=32,
    )
    processor = t.BlipProcessor(image_processor=_blip_images(384), tokenizer=tokenizer)
    ends = {"eos": ids("[SEP]"), "bos_token_id": ids("[DEC]")}
    return Made(model=generation(t.BlipForConditionalGeneration(config), tokenizer, **ends), processors=(processor,))


def _qformer(size: int) -> dict[str, Any]:
    return SMALL | {"vocab_size": size, "encoder_hidden_size": HIDDEN, "cross_attention_frequency": 2}


@recipe("blip-2", **READS, dtype="float16", prompt="Question: what is this? Answer:")
def blip_2() -> Made:
    """32 queries between a vision tower and OPT."""
    backend = vocabulary.byte_level(("<s>", "<pad>", "</s>", "<unk>"))
    backend.add_special_tokens(["<image>"])
    vocabulary.starting_with(backend, "</s>")
    special = {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "</s>"}
    tokenizer = speakers.speaker(backend, "GPT2Tokenizer", **special, model_max_length=2048)
    text = {"model_type": "opt", "vocab_size": speakers.rows(tokenizer), "ffn_dim": 128, "word_embed_proj_dim": HIDDEN}
    text |= {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 2048}
    config = t.Blip2Config(
        vision_config=SMALL | {"image_size": 224, "patch_size": 14},
        qformer_config=_qformer(len(tokenizer)),
        text_config=text | {"bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1},
        num_query_tokens=32,
        image_text_hidden_size=HIDDEN,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = t.Blip2Processor(image_processor=_blip_images(224), tokenizer=tokenizer, num_query_tokens=32)
    return Made(model=generation(t.Blip2ForConditionalGeneration(config), tokenizer), processors=(processor,))


@recipe("instructblip", **READS, dtype="float16", prompt="What is shown in the picture?")
def instructblip() -> Made:
    """BLIP-2 whose queries read the question, with a tokenizer of their own; Vicuna."""
    tokenizer = speakers.llama(("<pad>", "<image>"), positions=2048)
    asking = speakers.bert(more=("[DEC]",), truncation_side="left")
    config = t.InstructBlipConfig(
        vision_config=SMALL | {"image_size": 224, "patch_size": 14},
        qformer_config=_qformer(len(asking)),
        text_config=decoder(tokenizer, max_position_embeddings=2048),
        num_query_tokens=32,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = t.InstructBlipProcessor(
        image_processor=_blip_images(224), tokenizer=tokenizer, qformer_tokenizer=asking, num_query_tokens=32
    )
    model = generation(t.InstructBlipForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))


@recipe("git", **READS, dtype="float32", prompt="a dog")
def git() -> Made:
    """One decoder over image patches and words."""
    tokenizer = speakers.bert()
    vision = SMALL | {"image_size": 224, "patch_size": 16}
    ids = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id, "pad_token_id": 0}
    config = t.GitConfig(vision_config=vision, **SMALL, vocab_size=len(tokenizer), max_position_embeddings=1024, **ids)
    images = t.CLIPImageProcessor(**shortest(224), **OPENAI)
    model = t.GitForCausalLM(config)
    model.generation_config = t.GenerationConfig(**ids)
    return Made(model=model, processors=(t.GitProcessor(image_processor=images, tokenizer=tokenizer),))


@recipe("vilt", auto="AutoModelForVisualQuestionAnswering", feed="caption", dtype="float32", prompt="How many cats?")
def vilt() -> Made:
    """One encoder over patches of 32 and 40 words; answers are classes."""
    tokenizer = speakers.bert(40)
    answers = ["yes", "no", "one", "two", "red"]
    config = t.ViltConfig(
        **SMALL,
        vocab_size=len(tokenizer),
        max_position_embeddings=40,
        image_size=384,
        patch_size=32,
        max_image_length=-1,
        id2label=dict(enumerate(answers)),
        label2id={answer: number for number, answer in enumerate(answers)},
    )
    images = t.ViltImageProcessor(size={"shortest_edge": 384}, size_divisor=32, resample=BICUBIC, **HALVES)
    processor = t.ViltProcessor(image_processor=images, tokenizer=tokenizer)
    return Made(model=t.ViltForQuestionAnswering(config), processors=(processor,))


@recipe("kosmos-2", **READS, dtype="float32", prompt="<grounding>An image of")
def kosmos_2() -> Made:
    """64 latents inside `<image>` marks, 1024 places in the vocabulary."""
    tags = (
        "</doc>", "<image>", "</image>", "</chunk>", "</line>", "<phrase>", "</phrase>", "<object>", "</object>",
        "</delimiter_of_multi_objects/>", "<grounding>",
    )  # fmt: skip
    tokenizer = speakers.xlm_roberta(2048, (*tags, *(f"<patch_index_{number:04}>" for number in range(1024))))
    text = {"vocab_size": len(tokenizer), "embed_dim": HIDDEN, "layers": 2, "ffn_dim": 128, "attention_heads": 4}
    config = t.Kosmos2Config(
        text_config=text | {"max_position_embeddings": 2048, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2},
        vision_config=SMALL | {"image_size": 224, "patch_size": 14},
        latent_query_num=64,
    )
    images = t.CLIPImageProcessor(**shortest(224), **OPENAI)
    processor = t.Kosmos2Processor(images, tokenizer)
    model = generation(t.Kosmos2ForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))


@recipe("florence2", **READS, dtype="float16", prompt="<CAPTION>")
def florence2() -> Made:
    """DaViT at 768 pixels, BART, tasks as tokens."""
    places = tuple(f"<loc_{number}>" for number in range(1000))
    tasks = ("<od>", "</od>", "<ocr>", "</ocr>", "<cap>", "</cap>", "<poly>", "</poly>", "<and>", "<image>")
    named = {"image_token": "<image>"}
    tokenizer = speakers.roberta("BartTokenizer", 1024, (*places, *tasks), **named)
    text = {"model_type": "bart", "vocab_size": len(tokenizer), "d_model": HIDDEN, "max_position_embeddings": 1024}
    for side in ("encoder", "decoder"):
        text |= {f"{side}_layers": 2, f"{side}_attention_heads": 4, f"{side}_ffn_dim": 128}
    ends = {
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": 2,
    }
    config = t.Florence2Config(
        text_config=text | ends,
        vision_config={
            "embed_dim": [8, 16, 32, 64],
            "num_heads": [1, 2, 4, 8],
            "num_groups": [1, 2, 4, 8],
            "depths": [1, 1, 1, 1],
            "projection_dim": HIDDEN,
            "window_size": 12,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    images = t.CLIPImageProcessor(
        size=square(768), crop_size=square(768), do_center_crop=False, resample=BICUBIC, **IMAGENET
    )
    images.image_seq_length = 577
    processor = t.Florence2Processor(image_processor=images, tokenizer=tokenizer, num_additional_image_tokens=1)
    model = t.Florence2ForConditionalGeneration(config)
    model.generation_config = t.GenerationConfig(**ends | {"num_beams": 3, "early_stopping": True})
    return Made(model=model, processors=(processor,))


@recipe("vision-encoder-decoder", auto="AutoModelForImageTextToText", feed="drawing", dtype="float32")
def trocr() -> Made:
    """TrOCR: a ViT reads a line of 384 pixels, a decoder writes it; RoBERTa's vocabulary."""
    tokenizer = speakers.roberta(positions=TROCR_LENGTH)
    encoder = t.ViTConfig(**SMALL, image_size=384, patch_size=16, qkv_bias=False)
    writer = t.TrOCRConfig(
        vocab_size=len(tokenizer),
        d_model=HIDDEN,
        decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=128,
        max_position_embeddings=TROCR_LENGTH,
        cross_attention_hidden_size=HIDDEN,
        is_decoder=True,
        add_cross_attention=True,
    )
    config = t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, writer)
    ids = {"decoder_start_token_id": 2, "pad_token_id": 1, "eos_token_id": 2}
    for name, number in ids.items():
        setattr(config, name, number)
    model = t.VisionEncoderDecoderModel(config=config)
    model.generation_config = t.GenerationConfig(**ids, bos_token_id=0)
    images = t.ViTImageProcessor(size=square(384), resample=BILINEAR, **HALVES)
    return Made(model=model, processors=(t.TrOCRProcessor(image_processor=images, tokenizer=tokenizer),))


@recipe("janus", auto="AutoModelForImageTextToText", feed="chat", dtype="bfloat16")
def janus() -> Made:
    """Understands through SigLIP at 384 pixels, draws through a codebook."""
    backend = vocabulary.byte_level()
    end = "<｜end▁of▁sentence｜>"
    marks = ["<image_placeholder>", "<begin_of_image>", "<end_of_image>", "<|User|>", "<|Assistant|>"]
    backend.add_special_tokens(["<｜begin▁of▁sentence｜>", end, "<｜▁pad▁｜>", *marks])
    vocabulary.starting_with(backend, "<｜begin▁of▁sentence｜>")
    named = {"image_token": marks[0], "boi_token": marks[1], "eoi_token": marks[2]}
    special = {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": end, "pad_token": "<｜▁pad▁｜>"}
    tokenizer = speakers.speaker(backend, "LlamaTokenizer", named, **special, model_max_length=16384)
    vision = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4, "projection_dim": HIDDEN}
    codebook = {"embed_dim": 8, "num_embeddings": 256, "latent_channels": 32, "base_channels": 32, "num_res_blocks": 1}
    codebook |= {"projection_dim": HIDDEN, "image_token_embed_dim": HIDDEN, "num_patches": 24}
    config = t.JanusConfig(
        text_config=decoder(tokenizer, max_position_embeddings=16384),
        vision_config=vision
        | {"image_size": 384, "patch_size": 16, "num_image_tokens": 576, "depth": 2, "mlp_ratio": 2.0},
        vq_config=codebook,
        image_token_id=tokenizer.convert_tokens_to_ids(marks[0]),
    )
    images = t.JanusImageProcessor(size=square(384), min_size=14, resample=BICUBIC, **HALVES)
    processor = t.JanusProcessor(
        image_processor=images, tokenizer=tokenizer, chat_template=templates.JANUS, num_image_tokens=576
    )
    model = generation(t.JanusForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))


@recipe("layoutlmv3", auto="AutoModelForTokenClassification", feed="document", dtype="float32")
def layoutlmv3() -> Made:
    """Words, where they stand, and the page."""
    tokenizer = speakers.layout()
    labels = ["O", "B-TOTAL", "I-TOTAL"]
    config = t.LayoutLMv3Config(
        **SMALL,
        vocab_size=len(tokenizer),
        max_position_embeddings=514,
        input_size=224,
        patch_size=16,
        coordinate_size=11,
        shape_size=10,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    images = t.LayoutLMv3ImageProcessor(size=square(224), resample=BILINEAR, **HALVES, apply_ocr=False)
    processor = t.LayoutLMv3Processor(image_processor=images, tokenizer=tokenizer)
    return Made(model=t.LayoutLMv3ForTokenClassification(config), processors=(processor,))
