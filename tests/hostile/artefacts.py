"""Hostile files and folders for the whole command: names, sizes, kinds, and values of the wrong kind in every place."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile import json_bombs, pickles, zips
from tests.hostile.headers import MEGABYTES, Attack

ATTACKS: dict[str, Attack] = {}

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj.\u200b\u2066\r\n**[red]`|</details><script>@everyone http://x.y"
"""Terminal, bidirectional, Rich, Markdown and HTML controls in one text."""

CONFIG: dict[str, Any] = {
    "model_type": "llava",
    "architectures": ["LlavaForConditionalGeneration"],
    "image_token_index": 9,
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "projector_hidden_act": "gelu",
    "torch_dtype": "float16",
    "text_config": {
        "model_type": "llama",
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 4,
        "vocab_size": 10,
    },
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    },
}
PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "processor_class": "LlavaProcessor",
    "size": {"shortest_edge": 28},
    "crop_size": {"height": 28, "width": 28},
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 9, "content": "<image>", "special": True}],
    "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate("abcdefghi")}, "merges": []},
}
JOINT = {
    "processor_class": "LlavaProcessor",
    "patch_size": 14,
    "image_token": "<image>",
    "num_additional_image_tokens": 1,
    "vision_feature_select_strategy": "default",
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "LlamaTokenizerFast",
    "image_token": "<image>",
    "chat_template": "{{ messages }}",
}


def attack(function: Attack) -> Attack:
    """Register a generator: it writes below an empty folder and returns the path to check."""
    ATTACKS[function.__name__] = function
    return function


def tensors() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that CONFIG describes."""
    vision, text = "vision_tower.vision_model.", "language_model.model."
    shapes: dict[str, tuple[int, ...]] = {
        f"{vision}embeddings.class_embedding": (8,),
        f"{vision}embeddings.patch_embedding.weight": (8, 3, 14, 14),
        f"{vision}embeddings.position_embedding.weight": (5, 8),
        "multi_modal_projector.linear_1.weight": (8, 8),
        "multi_modal_projector.linear_1.bias": (8,),
        "multi_modal_projector.linear_2.weight": (8, 8),
        "multi_modal_projector.linear_2.bias": (8,),
        f"{text}embed_tokens.weight": (10, 8),
        f"{text}norm.weight": (8,),
        "language_model.lm_head.weight": (10, 8),
    }
    for layer in range(2):
        for part in ("q", "k", "v", "out"):
            shapes[f"{vision}encoder.layers.{layer}.self_attn.{part}_proj.weight"] = (8, 8)
    for part, rows in (("q", 8), ("k", 4), ("v", 4), ("o", 8)):
        shapes[f"{text}layers.0.self_attn.{part}_proj.weight"] = (rows, 8)
    return shapes


def safetensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Write zeros of these shapes in half precision."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def folder_of(place: Path, **documents: Any) -> Path:
    """A folder with a small LLaVA and these documents in place of its own (None: left out; bytes: as they are)."""
    place.mkdir(exist_ok=True)
    own = {
        "config": CONFIG,
        "preprocessor_config": PROCESSOR,
        "processor_config": JOINT,
        "tokenizer": TOKENIZER,
        "tokenizer_config": TOKENIZER_CONFIG,
    }
    for name, value in (own | documents).items():
        if value is not None:
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            (place / f"{name}.json").write_bytes(data)
    safetensors(place / "model.safetensors", tensors())
    return place


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The document with every leaf changed."""
    if isinstance(value, dict):
        return {k: replaced(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(v, change) for v in value]
    return change(value)


def _every_number(number: Any) -> dict[str, Any]:
    def change(value: Any) -> Any:
        return number if isinstance(value, int | float) and not isinstance(value, bool) else value

    own = {"config": CONFIG, "preprocessor_config": PROCESSOR, "processor_config": JOINT}
    return {name: replaced(document, change) for name, document in own.items()}


for _name, _number in {
    "zero": 0,
    "minus_one": -1,
    "one_tenth": 0.1,
    "not_a_number": float("nan"),
    "infinity": float("inf"),
    "ten_to_the_400": 10**400,
    "two_to_the_63": 2**63,
    "text": "14",
    "controls": ESCAPES,
    "nothing": None,
    "true": True,
    "list": [14, 14],
    "nested_nothing": [[None], {"a": None}],
    "object": {"height": 14},
}.items():

    def _numbers(folder: Path, _number: Any = _number) -> Path:
        return folder_of(folder, **_every_number(_number))

    ATTACKS[f"every_number_is_{_name}"] = _numbers


@attack
def number_of_five_thousand_digits(folder: Path) -> Path:
    text = json.dumps(CONFIG).replace('"hidden_size": 8', '"hidden_size": ' + "9" * 5000)
    return folder_of(folder, config=text.encode())


@attack
def every_text_is_controls(folder: Path) -> Path:
    def change(value: Any) -> Any:
        return ESCAPES if isinstance(value, str) else value

    documents = {"config": CONFIG, "preprocessor_config": PROCESSOR, "processor_config": JOINT}
    documents |= {"tokenizer": TOKENIZER, "tokenizer_config": TOKENIZER_CONFIG}
    return folder_of(folder, **{name: replaced(document, change) for name, document in documents.items()})


@attack
def model_type_of_controls(folder: Path) -> Path:
    return folder_of(folder, config=CONFIG | {"model_type": ESCAPES, "transformers_version": ESCAPES})


@attack
def sections_that_are_lists(folder: Path) -> Path:
    return folder_of(folder, config=CONFIG | {"text_config": [], "vision_config": [1], "quantization_config": "x"})


@attack
def sections_that_are_nothing(folder: Path) -> Path:
    return folder_of(folder, config=CONFIG | {"text_config": None, "vision_config": None, "architectures": None})


@attack
def text_config_within_itself(folder: Path) -> Path:
    config: dict[str, Any] = dict(CONFIG)
    for _ in range(90):
        config = CONFIG | {"text_config": config, "vision_config": {"vision_config": {"a": None}}}
    return folder_of(folder, config=config)


@attack
def token_contents_of_controls(folder: Path) -> Path:
    added = [{"id": 9 + i, "content": f"{i}{ESCAPES}", "special": True} for i in range(3)]
    return folder_of(
        folder,
        tokenizer=TOKENIZER | {"added_tokens": added},
        tokenizer_config={"image_token": ESCAPES, "added_tokens_decoder": {ESCAPES: {"content": ESCAPES}, "7": None}},
        added_tokens={ESCAPES: 10**400, "<image>": -1},
        special_tokens_map={"image_token": {"content": 7}, "bos_token": [[]]},
    )


@attack
def quantised_by_confusion(folder: Path) -> Path:
    quantised = {"quant_method": ESCAPES, "bits": 0, "group_size": 0, "modules_to_not_convert": [None, 7, {}]}
    return folder_of(folder, config=CONFIG | {"quantization_config": quantised})


@attack
def adapter_of_confusion(folder: Path) -> Path:
    adapter = {"base_model_name_or_path": "../../../../etc/passwd", "r": 0, "target_modules": [None], "peft_type": 7}
    folder_of(folder, adapter_config=adapter)
    (folder / "adapter_model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").unlink()
    return folder


@attack
def index_of_confusion(folder: Path) -> Path:
    folder_of(folder).joinpath("model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"metadata": {"total_size": 10**400}, "weight_map": {ESCAPES: ESCAPES, "a": 7, "b": None, "c": ["x"]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@attack
def tensor_names_of_a_megabyte(folder: Path) -> Path:
    folder_of(folder)
    shapes = {f"model.layers.{i}." + "x" * MEGABYTES: (1,) for i in range(20)} | tensors()
    safetensors(folder / "model.safetensors", shapes)
    return folder


@attack
def tensor_names_of_controls(folder: Path) -> Path:
    folder_of(folder)
    safetensors(folder / "model.safetensors", {f"model.layers.{i}.{ESCAPES}": (1, 0) for i in range(9)} | tensors())
    return folder


@attack
def tensor_names_of_digits(folder: Path) -> Path:
    """Layer numbers beyond all counting, and of more digits than int() takes."""
    folder_of(folder)
    names = [f"model.layers.{'9' * 5000}.w", f"model.layers.{10**30}.w", "model.layers.\u0663.w", "model.layers.-1.w"]
    safetensors(folder / "model.safetensors", dict.fromkeys(names, (1,)) | tensors())
    return folder


@attack
def a_hundred_thousand_dots(folder: Path) -> Path:
    folder_of(folder)
    names = ["." * 100_000, "0." * 50_000, "layers.0." * 20_000 + "weight", "layers." * 20_000]
    safetensors(folder / "model.safetensors", dict.fromkeys(names, (1,)))
    return folder


def _many(folder: Path, count: int, name: str) -> Path:
    folder_of(folder)
    entry = '"' + name + '":{{"dtype":"F16","shape":[],"data_offsets":[{1},{2}]}}'
    text = "{" + ",".join(entry.format(i, 2 * i, 2 * i + 2) for i in range(count)) + "}"
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text.encode())
        file.truncate(8 + len(text) + 2 * count)
    return folder


@attack
def a_million_tensors(folder: Path) -> Path:
    return _many(folder, 1_000_000, "model.layers.{0}.weight")


@attack
def as_many_tensors_as_are_read(folder: Path) -> Path:
    """Two shards of one projection, and of nothing else, in 99,000 layers each."""
    name = "language_model.model.layers.{0}.self_attn.q_proj.weight"
    for shard in (1, 2):
        _many(folder, 99_000, name.replace("{0}", f"{shard}{{0}}"))
        (folder / "model.safetensors").rename(folder / f"weights-0000{shard}-of-00002.safetensors")
    return folder


@attack
def as_many_different_tensors_as_are_read(folder: Path) -> Path:
    return _many(folder, 149_000, "m{0}.x{0}y.z{0}")


@attack
def a_hundred_thousand_files(folder: Path) -> Path:
    folder_of(folder)
    for i in range(100_000):
        (folder / f"{i}.txt").touch()
    return folder


@attack
def file_names_of_controls(folder: Path) -> Path:
    folder_of(folder)
    name = ESCAPES.replace("/", "_")
    for suffix in (".safetensors", ".json", "-00001-of-00003.safetensors", ".pt", ".gguf", ".jinja"):
        (folder / f"{name}{suffix}").write_bytes(b"{}")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / f"{name}.jinja").write_text(ESCAPES)
    return folder


@attack
def file_names_that_are_not_utf8(folder: Path) -> Path:
    folder_of(folder)
    for name in (b"\xff\xfe.safetensors", b"caf\xe9.json", b"\xed\xa0\x80-00001-of-00002.safetensors", b"\x80.pt"):
        (folder / os.fsdecode(name)).write_bytes(b"{}")
    return folder


@attack
def folder_name_of_controls(folder: Path) -> Path:
    return folder_of(folder / ESCAPES.replace("/", "_"), config=CONFIG | {"vision_config": 7})


@attack
def folder_name_that_is_not_utf8(folder: Path) -> Path:
    return folder_of(folder / os.fsdecode(b"\xff[bold]\xe9"), config=CONFIG | {"vision_config": 7})


@attack
def file_name_of_controls(folder: Path) -> Path:
    path = folder / (ESCAPES.replace("/", "_") + ".safetensors")
    path.write_bytes(b"\0" * 9)
    return path


@attack
def file_name_that_is_not_utf8(folder: Path) -> Path:
    folder_of(folder)
    return (folder / "model.safetensors").rename(folder / os.fsdecode(b"\xff\xe9.safetensors"))


@attack
def templates_of_four_megabytes(folder: Path) -> Path:
    folder_of(folder, chat_template={"chat_template": "{{" * 2 * MEGABYTES})
    (folder / "chat_template.jinja").write_text("{% if x %}" * 350_000)
    return folder


@attack
def template_that_acts(folder: Path) -> Path:
    """The classic ways out of Jinja; whoever renders it writes a file."""
    touch = f"touch {folder / 'touched'}"
    code = "{{ cycler.__init__.__globals__.os.popen('" + touch + "').read() }}{% for i in range(10**12) %}{% endfor %}"
    return folder_of(folder, tokenizer_config=TOKENIZER_CONFIG | {"chat_template": code})


@attack
def code_beside_the_model(folder: Path) -> Path:
    """Modules that a careless import would run, under names that mmdoctor imports."""
    folder_of(folder, config=CONFIG | {"auto_map": {"AutoConfig": "configuration_evil.Evil"}, "model_type": "evil"})
    code = f"open({str(folder / 'touched')!r}, 'w')\n"
    names = ("configuration_evil", "modeling_evil", "msgspec", "json", "rich", "numpy", "torch", "conftest", "setup")
    for name in (*names, "sitecustomize", "usercustomize", "mmdoctor"):
        (folder / f"{name}.py").write_text(code)
    (folder / "mmdoctor.toml").write_text('load = ["setup.py"]\n')
    (folder / "pyproject.toml").write_text('[tool.mmdoctor]\nload = ["setup.py"]\n')
    return folder


@attack
def pickle_that_acts(folder: Path) -> Path:
    path = folder / "model.pt"
    path.write_bytes(pickles.archive(pickles.touching(folder / "touched")))
    return path


@attack
def pickle_that_acts_in_a_folder(folder: Path) -> Path:
    folder_of(folder).joinpath("model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickles.touching(folder / "touched", 4))
    return folder


@attack
def pickle_of_a_million_tensors(folder: Path) -> Path:
    """One tensor under a million names."""
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pickles.STORAGE + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    items = b"".join(b"X\x07\x00\x00\x00%07d" % i + b"h\x01" for i in range(1_000_000))
    path = folder / "model.pt"
    path.write_bytes(pickles.archive(b"\x80\x02" + tensor + b"q\x010}(" + items + b"u."))
    return path


@attack
def pickle_of_long_names(folder: Path) -> Path:
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pickles.STORAGE + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    items = b"".join(b"X" + struct.pack("<I", MEGABYTES) + b"%06d" % i + b"x" * 999_994 + b"h\x01" for i in range(60))
    path = folder / "model.pt"
    path.write_bytes(pickles.archive(b"\x80\x02" + tensor + b"q\x010}(" + items + b"u."))
    return path


@attack
def pickle_with_names_of_controls(folder: Path) -> Path:
    text = ESCAPES.replace("\n", "").replace("\r", "").encode()
    path = folder / "model.pt"
    path.write_bytes(b"\x80\x02c" + text + b"\n" + text + b"\n)R.")
    return path


@attack
def storage_bomb(folder: Path) -> Path:
    """A gigabyte of zeros, deflated, where the weights are."""
    path = folder / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("archive/data.pkl", pickles.plain_state_dict())
        file.writestr("archive/version", "3\n")
        with file.open("archive/data/0", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(bytes(1 << 20))
    return path


@attack
def bombs_in_every_document(folder: Path) -> Path:
    text = b'{"a":[' + b"[]," * 499_990 + b"[]]}"
    names = ("config", "generation_config", "preprocessor_config", "processor_config", "tokenizer_config")
    names += ("special_tokens_map", "added_tokens", "adapter_config", "chat_template", "video_preprocessor_config")
    folder_of(folder, **dict.fromkeys(names, text), tokenizer=json_bombs.vocabulary(1_400_000))
    return folder


@attack
def added_tokens_without_end(folder: Path) -> Path:
    entry = b'{"id":1,"content":"a"},'
    return folder_of(
        folder,
        tokenizer=b'{"added_tokens":[' + entry * 2_700_000 + entry[:-1] + b'],"model":{"type":"BPE","vocab":{}}}',
    )


@attack
def added_tokens_that_differ(folder: Path) -> Path:
    added = ",".join(f'{{"id":{i},"content":"<{i}>","special":true}}' for i in range(100_000))
    return folder_of(
        folder, tokenizer=f'{{"added_tokens":[{added}],"model":{{"type":"BPE","vocab":{{"a":0}}}}}}'.encode()
    )


@attack
def merges_without_end(folder: Path) -> Path:
    text = b'{"model":{"type":"BPE","vocab":{"a":0},"merges":[' + b'"a a",' * 10_000_000 + b'"a a"]},"added_tokens":[]}'
    return folder_of(folder, tokenizer=text)


@attack
def vocabulary_of_one_string(folder: Path) -> Path:
    text = b'{"model":{"type":"BPE","vocab":{"' + b"\\u0041" * 10_000_000 + b'":0},"merges":[]},"added_tokens":[]}'
    return folder_of(folder, tokenizer=text)


@attack
def sentencepiece_of_nothing_but_pieces(folder: Path) -> Path:
    folder_of(folder, tokenizer=None)
    (folder / "tokenizer.model").write_bytes(b"\n\x07\n\x05aaaaa" * 6_000_000)
    return folder


@attack
def words_without_end(folder: Path) -> Path:
    folder_of(folder, tokenizer=None)
    (folder / "vocab.txt").write_bytes(b"a\n" * 30_000_000)
    return folder


@attack
def a_hundred_megabytes_of_nested_tokenizer(folder: Path) -> Path:
    return folder_of(folder, tokenizer=b'{"model":' + b"[" * (100 * MEGABYTES))


@attack
def sixty_megabytes_of_nested_tokenizer(folder: Path) -> Path:
    return folder_of(folder, tokenizer=b'{"model":{"vocab":' + b"[" * (60 * MEGABYTES))


@attack
def a_hundred_megabytes_of_nested_config(folder: Path) -> Path:
    return folder_of(folder, config=b'{"a":' + b"[" * (100 * MEGABYTES))


@attack
def a_hundred_megabytes_of_wide_processor(folder: Path) -> Path:
    return folder_of(folder, preprocessor_config=json_bombs.wide(60))


@attack
def a_hundred_megabytes_of_nested_index(folder: Path) -> Path:
    folder_of(folder).joinpath("model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_bytes(b'{"weight_map":' + b'{"a":' * (20 * MEGABYTES))
    return folder


def _file(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


for _name, _bomb in pickles.BOMBS.items():
    ATTACKS[f"pickle_{_name}"] = lambda folder, _bomb=_bomb: _file(folder, "model.pt", pickles.archive(_bomb()))
for _name, _zip in zips.HOSTILE.items():
    ATTACKS[f"zip_{_name}"] = lambda folder, _zip=_zip: _file(folder, "model.pt", _zip())
for _text in json_bombs.ALL:
    ATTACKS[f"config_{_text.__name__}"] = lambda folder, _text=_text: folder_of(folder, config=_text())
ATTACKS["config_duplicates"] = lambda folder: folder_of(folder, config=json_bombs.duplicates())
