"""Attacks on the readers of safetensors, GGUF and folders: each writes something malicious and says what to check."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

Attack = Callable[[Path], Path]
ATTACKS: dict[str, Attack] = {}
MEGABYTES = 10**6


def attack(function: Attack) -> Attack:
    """Register a generator: it writes below a folder and returns the path to check."""
    ATTACKS[function.__name__] = function
    return function


def _safetensors(folder: Path, header: bytes, size: int | None = None, length: int | None = None) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header)
    if size is not None:
        os.truncate(path, size)
    return path


def _gguf(folder: Path, body: bytes, pairs: int = 0, tensors: int = 0, size: int | None = None) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + body)
    if size is not None:
        os.truncate(path, size)
    return path


def _key(text: bytes = b"k") -> bytes:
    return struct.pack("<Q", len(text)) + text


@attack
def header_of_2_to_the_63_bytes(folder: Path) -> Path:
    return _safetensors(folder, b'{"a":{}}', length=2**63)


@attack
def header_of_zeros_in_a_hole(folder: Path) -> Path:
    return _safetensors(folder, b"{", size=200 * MEGABYTES, length=99 * MEGABYTES)


@attack
def nested_arrays(folder: Path) -> Path:
    return _safetensors(folder, b'{"a":' + b"[" * (99 * MEGABYTES))


@attack
def nested_objects(folder: Path) -> Path:
    return _safetensors(folder, b'{"a":' * (19 * MEGABYTES))


@attack
def a_million_empty_entries(folder: Path) -> Path:
    return _safetensors(folder, b"{" + b",".join(b'"%d":0' % i for i in range(990_000)) + b"}")


@attack
def a_million_metadata_keys(folder: Path) -> Path:
    pairs = b",".join(b'"%d":"x"' % i for i in range(990_000))
    return _safetensors(folder, b'{"__metadata__":{' + pairs + b"}}")


@attack
def ten_million_entries(folder: Path) -> Path:
    return _safetensors(folder, b"{" + b'"a":0,' * (10 * MEGABYTES) + b'"b":0}')


@attack
def many_equal_names(folder: Path) -> Path:
    entry = b'"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return _safetensors(folder, b"{" + b",".join([entry] * 149_000) + b"}")


@attack
def endless_shape(folder: Path) -> Path:
    shape = b"0," * (40 * MEGABYTES) + b"0"
    return _safetensors(folder, b'{"a":{"dtype":"F32","shape":[' + shape + b'],"data_offsets":[0,0]}}')


@attack
def numbers_without_end(folder: Path) -> Path:
    return _safetensors(folder, b'{"a":{"dtype":"F32","shape":[' + b"9" * 3900 + b'],"data_offsets":[0,0]}}')


@attack
def metadata_of_ninety_megabytes(folder: Path) -> Path:
    return _safetensors(folder, b'{"__metadata__":{"a":"' + b"x" * (90 * MEGABYTES) + b'"}}')


@attack
def overlapping_tensors(folder: Path) -> Path:
    entries = {f"t{i}": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]} for i in range(1000)}
    return _safetensors(folder, json.dumps(entries).encode())


@attack
def gguf_pairs_without_end(folder: Path) -> Path:
    return _gguf(folder, b"", pairs=2**63)


@attack
def gguf_tensors_in_a_hole(folder: Path) -> Path:
    return _gguf(folder, b"", tensors=50_000, size=10_000 * MEGABYTES)


@attack
def gguf_strings_in_a_hole(folder: Path) -> Path:
    return _gguf(folder, _key() + struct.pack("<IIQ", 9, 8, 4_000_000), pairs=1, size=100_000 * MEGABYTES)


@attack
def gguf_string_of_2_to_the_60(folder: Path) -> Path:
    return _gguf(folder, _key() + struct.pack("<IQ", 8, 2**60), pairs=1)


@attack
def gguf_long_string_in_a_hole(folder: Path) -> Path:
    return _gguf(folder, _key() + struct.pack("<IQ", 8, 90_000 * MEGABYTES), pairs=1, size=100_000 * MEGABYTES)


@attack
def gguf_array_of_2_to_the_62(folder: Path) -> Path:
    return _gguf(folder, _key() + struct.pack("<IIQ", 9, 12, 2**62), pairs=1)


@attack
def gguf_long_names(folder: Path) -> Path:
    name = struct.pack("<Q", 512) + b"n" * 512 + struct.pack("<IQIQ", 1, 1, 0, 0)
    return _gguf(folder, name * 50_000, tensors=50_000)


@attack
def index_that_leads_out(folder: Path) -> Path:
    names = {"a": "../../../../etc/passwd", "b": "/etc/shadow", "c": "C:\\secret", "d": "x\0y", "e": "~/.ssh/id_rsa"}
    index = {"metadata": {}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@attack
def index_of_nested_arrays(folder: Path) -> Path:
    (folder / "model.safetensors.index.json").write_bytes(b'{"weight_map":' + b"[" * (60 * MEGABYTES))
    return folder


@attack
def index_of_many_names(folder: Path) -> Path:
    names = ",".join(f'"t{i}":"{i}.safetensors"' for i in range(299_000))
    (folder / "model.safetensors.index.json").write_text('{"metadata":{},"weight_map":{' + names + "}}")
    return folder


@attack
def shards_without_end(folder: Path) -> Path:
    (folder / "model-00001-of-999999.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder


@attack
def pipe_among_the_files(folder: Path) -> Path:
    os.mkfifo(folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return folder


@attack
def endless_device_behind_a_link(folder: Path) -> Path:
    (folder / "model.safetensors").symlink_to("/dev/zero")
    (folder / "config.json").symlink_to("/proc/self/mem")
    return folder


@attack
def loops_of_links(folder: Path) -> Path:
    (folder / "model.safetensors").symlink_to("model.safetensors")
    (folder / "again").symlink_to(folder)
    return folder


@attack
def folders_below_folders(folder: Path) -> Path:
    (folder / "config.json").write_text("{}")
    place = folder
    for _ in range(200):
        place = place / "d"
    place.mkdir(parents=True)
    return folder


@attack
def thousands_of_files(folder: Path) -> Path:
    (folder / "config.json").write_text("{}")
    for i in range(12_000):
        (folder / f"{i}.json").touch()
    return folder


@attack
def index_of_many_names_with_one_shard(folder: Path) -> Path:
    index_of_many_names(folder)
    (folder / "7.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder


@attack
def thousands_of_broken_links(folder: Path) -> Path:
    (folder / "config.json").write_text("{}")
    for i in range(9_000):
        (folder / f"model-{i:05d}-of-{9000 + i % 999:05d}.safetensors").symlink_to("nowhere")
    return folder


@attack
def thousands_of_shard_sets(folder: Path) -> Path:
    for i in range(9_000):
        (folder / f"m{i}-00001-of-09999.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder
