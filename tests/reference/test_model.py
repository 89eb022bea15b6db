# ruff: noqa: N806 - shape suffixes, as in the model
import msgspec
import pytest
import torch

from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundle import default_config, empty_model, fill
from mmdoctor.reference.comparison import named_outputs
from mmdoctor.reference.config import FusionKind, ReferenceConfig, TextConfig, VisionConfig
from mmdoctor.reference.decoder import DecoderCache
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.sample import Batch
from mmdoctor.reference.seeding import seeded_state
from mmdoctor.reference.vision import VisionModel, patchify

CONFIG = default_config()
KINDS: tuple[FusionKind, ...] = ("early", "late", "hybrid")
VECTORS = ("image_features", "text_features", "fused_image", "fused_text", "unified_vector")
"""Outputs that are as wide as the model."""


def seeded(config: ReferenceConfig) -> ReferenceModel:
    model = empty_model(config)
    return fill(model, seeded_state(model))


def test_every_output_has_its_shape_and_is_lively(model: ReferenceModel, batch: Batch) -> None:
    outputs = named_outputs(model(*batch))
    words, text, written = CONFIG.text_config.vocab_size, batch.input_ids.shape[1], batch.decoder_input_ids.shape[1]

    assert {name: tuple(tensor.shape) for name, tensor in outputs.items()} == {
        "image_features": (2, 37, 128),
        "text_features": (2, text, 128),
        "fused_image": (2, 37, 128),
        "fused_text": (2, text, 128),
        "unified_vector": (2, 128),
        "answer_logits": (2, len(CONFIG.id2label)),
        "box": (2, 4),
        "matching_logits": (2, 2),
        "masked_token_logits": (2, text, words),
        "masked_patches": (2, 36, 192),
        "next_sentence_logits": (2, 2),
        "caption_logits": (2, written, words),
    }
    for name, tensor in outputs.items():
        assert tensor.isfinite().all(), name
        assert 0.02 < (tensor[0] - tensor[1]).abs().max() < 20, f"{name} does not depend on the sample"


def test_patches_are_what_a_convolution_sees(model: ReferenceModel, batch: Batch) -> None:
    embedding = model.vision_model.embeddings.patch_embedding
    by_convolution = torch.nn.functional.conv2d(batch.pixel_values, embedding.weight, embedding.bias, stride=8)

    torch.testing.assert_close(embedding(batch.pixel_values), by_convolution.flatten(2).transpose(1, 2))
    assert patchify(batch.pixel_values, 8)[0, 7].tolist() == batch.pixel_values[0, :, 8:16, 8:16].flatten().tolist()


def test_a_masked_patch_is_not_seen(model: ReferenceModel, batch: Batch) -> None:
    masked_BN = torch.zeros(2, 36, dtype=torch.bool)
    masked_BN[:, 0] = True
    before = model.vision_model(batch.pixel_values, masked_BN)
    changed = batch.pixel_values.clone()
    changed[:, :, :8, :8] = 3

    assert torch.equal(model.vision_model(changed, masked_BN), before)
    assert not torch.equal(model.vision_model(changed), model.vision_model(batch.pixel_values))


@pytest.mark.parametrize("implementation", ["sdpa", "textbook"])
def test_decoding_with_a_cache_equals_decoding_without(
    model: ReferenceModel, batch: Batch, implementation: str
) -> None:
    use_attention(model, implementation)
    encoded, cache = model(*batch).encoded, DecoderCache()
    ids = batch.decoder_input_ids
    pieces = [model.write(piece, encoded, cache) for piece in (ids[:, :1], ids[:, 1:4], ids[:, 4:5], ids[:, 5:])]
    use_attention(model, "sdpa")

    assert cache.length == ids.shape[1]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model.write(ids, encoded), rtol=0, atol=2e-5)


def test_a_written_token_does_not_see_the_next(model: ReferenceModel, batch: Batch) -> None:
    encoded = model(*batch).encoded
    before = model.write(batch.decoder_input_ids, encoded)
    changed = batch.decoder_input_ids.clone()
    changed[:, 5] = CONFIG.mask_token_id
    after = model.write(changed, encoded)

    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert not torch.allclose(after[:, 5:], before[:, 5:], atol=1e-3)


def test_generation_is_the_greedy_path_and_pads_behind_the_end(model: ReferenceModel, batch: Batch) -> None:
    encoded = model(*batch).encoded
    written = model.generate(encoded, max_new_tokens=6)
    choices = model.write(written[:, :-1], encoded).argmax(-1)

    assert written[:, 0].tolist() == [CONFIG.bos_token_id] * 2
    for row, chosen in zip(written[:, 1:].tolist(), choices.tolist(), strict=True):
        end = row.index(CONFIG.eos_token_id) + 1 if CONFIG.eos_token_id in row else len(row)
        assert row[:end] == chosen[:end]
        assert set(row[end:]) <= {CONFIG.pad_token_id}


def test_padding_does_not_change_a_sample(model: ReferenceModel, batch: Batch) -> None:
    short = Batch(*(tensor[:1] for tensor in batch))
    tokens = int(short.attention_mask.sum())
    trimmed = short._replace(
        input_ids=short.input_ids[:, :tokens],
        attention_mask=short.attention_mask[:, :tokens],
        token_type_ids=short.token_type_ids[:, :tokens],
    )
    assert tokens < batch.input_ids.shape[1]

    torch.testing.assert_close(model(*trimmed).caption_logits_BUV, model(*short).caption_logits_BUV, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_fusions_have_one_interface(kind: FusionKind, batch: Batch) -> None:
    model = seeded(CONFIG.with_fusion(kind))
    outputs = model(*batch)
    other = model(*batch._replace(pixel_values=batch.pixel_values.flip(0)))

    width = model.config.fusion_config.hidden_size
    assert {name: tuple(t.shape) for name, t in named_outputs(outputs).items()} == {
        name: (*t.shape[:-1], width) if name in VECTORS else tuple(t.shape)
        for name, t in named_outputs(seeded(CONFIG)(*batch)).items()
    }
    assert not torch.allclose(outputs.answer_logits_BA, other.answer_logits_BA, atol=1e-3)
    words_see_the_picture = not torch.equal(
        outputs.masked_token_logits_BTV[:, 1:], other.masked_token_logits_BTV[:, 1:]
    )
    assert words_see_the_picture == (kind != "late")


@pytest.mark.parametrize("kind", KINDS)
def test_one_vector_from_any_modality(kind: FusionKind, batch: Batch) -> None:
    model = seeded(CONFIG.with_fusion(kind))
    image = model.encode(pixel_values=batch.pixel_values).vector_BD
    text = model.encode(input_ids=batch.input_ids, attention_mask=batch.attention_mask).vector_BD
    both = model.encode(pixel_values=batch.pixel_values, input_ids=batch.input_ids).vector_BD

    assert image.shape == text.shape == both.shape == (2, model.config.fusion_config.hidden_size)
    for vector in (image, text, both):
        assert not torch.allclose(vector[0], vector[1], atol=1e-2)
    with pytest.raises(ValueError, match="neither an image"):
        model.encode()


def test_early_fusion_has_one_encoder() -> None:
    early = CONFIG.with_fusion("early")

    assert (early.vision_config.num_hidden_layers, early.text_config.num_hidden_layers) == (0, 0)
    assert early.fusion_config.num_hidden_layers == 4
    with pytest.raises(ValueError, match="vision has 4 layers of its own, text 2, expected 0"):
        msgspec.structs.replace(CONFIG, fusion_config=msgspec.structs.replace(CONFIG.fusion_config, kind="early"))


def test_distilbert_is_half_of_it_without_segments(batch: Batch) -> None:
    text = CONFIG.text_config.as_distilbert()
    model = seeded(msgspec.structs.replace(CONFIG, text_config=text))
    names = model.state_dict()

    assert len(model.text_model.encoder.layers) == 1
    assert not any("token_type" in name or "next_sentence" in name for name in names)
    outputs = model(*batch._replace(token_type_ids=None))  # type: ignore[arg-type]  # it has no segments
    assert outputs.next_sentence_logits_B2 is None
    with pytest.raises(ValueError, match="type_vocab_size is 0"):
        model(*batch)


def test_roberta_counts_positions_from_behind_the_padding_id(batch: Batch) -> None:
    text = msgspec.structs.replace(CONFIG.text_config, num_hidden_layers=2).as_roberta(pad_token_id=1)
    model = seeded(msgspec.structs.replace(CONFIG, text_config=text))
    embeddings = model.text_model.embeddings

    assert embeddings.position_embeddings.weight.shape == (64 + 2, 128)
    assert embeddings.token_type_embeddings is None
    before = embeddings(batch.input_ids)
    embeddings.position_embeddings.weight[:2] = 1e3
    assert torch.equal(embeddings(batch.input_ids), before)


def test_the_longest_text_fits_and_one_more_token_does_not(model: ReferenceModel) -> None:
    assert model.text_model.embeddings(torch.zeros(1, 64, dtype=torch.long)).shape == (1, 64, 128)
    with pytest.raises(ValueError, match="the text has 65 tokens, expected up to 64"):
        model.text_model.embeddings(torch.zeros(1, 65, dtype=torch.long))


def test_the_decoder_is_full_at_64_tokens(model: ReferenceModel, batch: Batch) -> None:
    encoded = model(*batch).encoded
    assert model.write(torch.zeros(2, 64, dtype=torch.long), encoded).shape[1] == 64
    with pytest.raises(ValueError, match="65 tokens are written, max_position_embeddings is 64"):
        model.write(torch.zeros(2, 65, dtype=torch.long), encoded)


@pytest.mark.parametrize("shape", [(3, 48, 56), (1, 48, 48), (3, 56, 56)])
def test_a_picture_of_another_size_is_refused(model: ReferenceModel, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"expected \(3, 48, 48\)"):
        model.vision_model(torch.zeros(1, *shape))


def test_a_patch_mask_of_another_size_is_refused(model: ReferenceModel) -> None:
    with pytest.raises(ValueError, match=r"\(1, 37\), expected \(1, 36\)"):
        model.vision_model(torch.zeros(1, 3, 48, 48), torch.zeros(1, 37, dtype=torch.bool))


def test_config_survives_the_way_through_json() -> None:
    assert ReferenceConfig.from_dict(msgspec.json.decode(msgspec.json.encode(CONFIG.to_dict()))) == CONFIG


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("vision_config", "patch_size"), 7, "image_size 48 is not a multiple of patch_size 7"),
        (("text_config", "num_attention_heads"), 5, "hidden_size 128 is not a multiple of num_attention_heads 5"),
        (("decoder_config", "num_key_value_heads"), 3, "num_attention_heads 4 is not a multiple of"),
        (("decoder_config", "vocab_size"), 91, "vocab_size is 92 in text_config, 91 in decoder_config"),
        (("image_token_id",), 92, "image_token_id is 92, vocab_size is 92"),
        (("text_config", "hidden_size"), "128", r"Expected `int`, got `str` - at `\$.text_config.hidden_size`"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(path: tuple[str, ...], value: object, message: str) -> None:
    content = CONFIG.to_dict()
    section = content
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value

    with pytest.raises(ValueError, match=message):
        ReferenceConfig.from_dict(content)


def test_next_sentence_needs_two_segments() -> None:
    with pytest.raises(ValueError, match="type_vocab_size is 1"):
        TextConfig(vocab_size=10, type_vocab_size=1)


def test_a_stack_of_no_layers_is_the_embeddings_normalised() -> None:
    vision = VisionModel(VisionConfig(num_hidden_layers=0))
    pixels = torch.zeros(1, 3, 48, 48)
    for parameter in vision.parameters():
        torch.nn.init.normal_(parameter)

    torch.testing.assert_close(vision(pixels), vision.post_layernorm(vision.embeddings(pixels)))
