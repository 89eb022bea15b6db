import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference import WEIGHTS, world
from mmdoctor.reference.bundle import default_config
from mmdoctor.reference.processor import Processor, as_rgb, resize
from mmdoctor.reference.tokenizer import Tokenizer

SIZES = [(48, 48), (1, 1), (17, 211), (300, 20), (47, 49), (480, 640)]


def noise(*shape: int) -> Any:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_resizing_is_pillows_to_one_level(size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = noise(*size, 3)
    by_pillow = np.asarray(image.fromarray(pixels).resize((48, 40), resample=2))

    difference = np.abs(resize(pixels, 40, 48).astype(int) - by_pillow)
    assert difference.max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F"])
@pytest.mark.parametrize("size", [(48, 48), (31, 90)])
def test_a_picture_in_any_mode_becomes_the_models_input(processor: Processor, mode: str, size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixel_values = processor.pixel_values([image.fromarray(noise(*size, 3)).convert(mode)])

    assert pixel_values.shape == (1, 3, 48, 48)
    assert pixel_values.dtype == np.float32
    assert np.abs(pixel_values).max() <= 1


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 2), (20, 30, 3), (20, 30, 4)])
def test_arrays_are_taken_too(shape: tuple[int, ...]) -> None:
    assert as_rgb(noise(*shape)).shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3)), "float64, expected uint8"),
        (noise(4, 4, 5), r"\(4, 4, 5\), expected"),
        (noise(4), r"\(4,\), expected"),
        (noise(0, 4, 3), r"\(0, 4, 3\), expected"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_rgb(array)


def test_transformers_reads_the_same_settings_and_makes_the_same_numbers(processor: Processor) -> None:
    transformers = pytest.importorskip("transformers")
    image = pytest.importorskip("PIL.Image")
    theirs = transformers.AutoImageProcessor.from_pretrained(WEIGHTS)
    for size in SIZES:
        picture = image.fromarray(noise(*size, 3))
        expected = np.asarray(theirs(picture, return_tensors="np")["pixel_values"])
        assert np.abs(processor.pixel_values([picture]) - expected).max() <= 1.01 * 2 / 255, size


def test_one_image_marker_belongs_to_one_picture(processor: Processor) -> None:
    picture = noise(48, 48, 3)
    inputs = processor([picture], [("<image> what is this ?", "a circle")])
    assert inputs.text.input_ids[0].count(default_config().image_token_id) == 1

    for text in ("what is this ?", "<image> <image> what is this ?"):
        with pytest.raises(ValueError, match="markers, expected 1"):
            processor([picture], [text])
    with pytest.raises(ValueError, match="1 pictures and 2 texts"):
        processor([picture], ["<image>", "<image>"])


def test_a_filter_that_it_cannot_follow_is_refused(processor: Processor) -> None:
    with pytest.raises(ValueError, match="resample is 3, expected 2"):
        Processor({**processor.settings, "resample": 3}, processor.tokenizer)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "tokenizer.json"])
def test_a_damaged_file_is_one_line(folder: Path, name: str) -> None:
    (folder / name).write_text("[")
    with pytest.raises(MMDoctorError, match=f"{name} cannot be used"):
        Processor.from_folder(folder)


TEXTS = (
    "<image> what color is the large circle ?",
    "Two small CIRCLES, and three crosses.",
    "a [MASK] square  <image>x",
    "naïve circlés at\tthe\nleft",
    "",
    "[CLS]red[SEP]",
    "unknownword circlesx 42 %",
)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("tokenizers").Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


@pytest.fixture(scope="module")
def ours() -> Tokenizer:
    return Tokenizer.from_folder(WEIGHTS)


def test_tokenizers_reads_the_file_and_agrees(theirs: Any, ours: Tokenizer) -> None:
    generator = random.Random(3)
    texts = [*TEXTS, *(" ".join(generator.choices(list(world.VOCABULARY), k=8)) for _ in range(200))]
    for text in texts:
        assert ours.encode([text]).input_ids[0] == theirs.encode(text).ids, text
        assert ours.decode(theirs.encode(text).ids) == theirs.decode(theirs.encode(text).ids), text


def test_pairs_agree(theirs: Any, ours: Tokenizer) -> None:
    expected = theirs.encode("<image> a ring", "there is a ring .")
    encoding = ours.encode([("<image> a ring", "there is a ring .")])

    assert (encoding.input_ids[0], encoding.token_type_ids[0]) == (expected.ids, expected.type_ids)


def test_every_word_survives_the_round_trip(ours: Tokenizer) -> None:
    for word in world.WORDS:
        if not word.startswith("##"):
            assert ours.decode(ours.ids(word)) == word
    assert ours.decode(ours.ids("two circles and crosses")) == "two circles and crosses"


def test_batches_are_padded(ours: Tokenizer) -> None:
    encoding = ours.encode(["red", "a red ring"])

    assert [len(row) for row in encoding.input_ids] == [5, 5]
    assert encoding.attention_mask == [[1, 1, 1, 0, 0], [1] * 5]
    assert encoding.input_ids[0][3:] == [default_config().pad_token_id] * 2


def test_ids_are_the_same_everywhere(theirs: Any, ours: Tokenizer) -> None:
    config = json.loads((WEIGHTS / "config.json").read_text())
    generation = json.loads((WEIGHTS / "generation_config.json").read_text())
    tokenizer = json.loads((WEIGHTS / "tokenizer_config.json").read_text())

    assert theirs.get_vocab_size() == len(ours.vocabulary) == config["text_config"]["vocab_size"]
    assert theirs.token_to_id(tokenizer["extra_special_tokens"]["image_token"]) == config["image_token_id"]
    for name in ("pad", "bos", "eos", "cls", "sep", "mask"):
        assert theirs.token_to_id(tokenizer[f"{name}_token"]) == config[f"{name}_token_id"]
    for name in ("pad", "bos", "eos", "decoder_start"):
        assert generation[f"{name}_token_id"] == config[f"{name}_token_id"]


def test_transformers_renders_the_chat_template() -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(WEIGHTS)
    question = [{"type": "image"}, {"type": "text", "text": " what is this ?"}]
    messages = [{"role": "user", "content": question}]

    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == "<image> what is this ?[BOS]"
    messages.append({"role": "assistant", "content": "a circle"})
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<image> what is this ?[BOS]a circle[EOS]"
    assert tokenizer.image_token_id == default_config().image_token_id
