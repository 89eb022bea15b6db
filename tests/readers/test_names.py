import pytest

from mmdoctor.readers.names import clean_name, is_unsafe_path, shards_missing


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("model-00004-of-00005.safetensors?download=true", "model-00004-of-00005.safetensors"),
        ("model.safetensors%3Fdownload=true", "model.safetensors"),
        ("model (1).safetensors", "model.safetensors"),
        ("model - Copy.safetensors", "model.safetensors"),
        ("model.safetensors (2)", "model.safetensors"),
        ("model.safetensors.1", "model.safetensors"),
        ("pytorch_model.bin.part", "pytorch_model.bin"),
        ("model.safetensors.crdownload", "model.safetensors"),
        ("tokenizer.json.aria2", "tokenizer.json"),
        ("model.gguf.incomplete", "model.gguf"),
        ("config (1).json", "config.json"),
    ],
)
def test_spoilt(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model.pt.100",
        "tokenizer.model.v3",
        "model.gguf.part00",
        "gemma-3-270m-q4_k_m.gguf",
        "model.v1.2.bin",
        "consolidated.00.pth",
        "README.md.1",
    ],
)
def test_sound(name: str) -> None:
    assert clean_name(name) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./x",
        "C:\\x",
        "C:/x",
        "a\\b",
        "~/x",
        "https://x/y",
        "a\0b",
        "\ud800",
    ],
)
def test_unsafe(path: str) -> None:
    assert is_unsafe_path(path)


@pytest.mark.parametrize("path", ["model.safetensors", "shards/model.safetensors", "a..b", "ä.bin"])
def test_safe(path: str) -> None:
    assert not is_unsafe_path(path)


def test_missing_numbers() -> None:
    assert shards_missing(["m-00001-of-00003.gguf", "m-00003-of-00003.gguf", "x.bin"]) == ("m-00002-of-00003.gguf",)
    assert shards_missing(["m-00001-of-00001.bin"]) == ()
    assert shards_missing(["m-00001-of-999999.bin"]) == ()
