"""JSON that is made to hurt its reader. Each generator returns the bytes of one file."""

import json
from collections.abc import Callable


def deep(levels: int = 5_000_000) -> bytes:
    """Arrays in arrays, never closed."""
    return b"[" * levels


def deep_closed(levels: int = 500) -> bytes:
    """Objects in objects, well-formed, deeper than any document needs."""
    return b'{"a":' * levels + b"1" + b"}" * levels


def wide(megabytes: int = 100) -> bytes:
    """A hundred megabytes of empty arrays: 30 million containers, gigabytes in memory."""
    return b"[" + b"[]," * (megabytes * 2**20 // 3) + b"[]]"


def objects(count: int = 2_000_000) -> bytes:
    """Small objects, 240 bytes of memory for 8 bytes of text."""
    return b'{"a":[' + b'{"a":0},' * count + b"{}]}"


def vocabulary(count: int = 4_000_000) -> bytes:
    """A tokenizer with more entries than any real one."""
    entries = ",".join(f'"{i:x}":{i}' for i in range(count))
    return b'{"model":{"type":"BPE","vocab":{' + entries.encode() + b'},"merges":[]},"added_tokens":[]}'


def unterminated(megabytes: int = 20) -> bytes:
    """A string that never ends, full of escaped quotes."""
    return b'{"a":"' + b'\\"' * (megabytes * 2**19)


def digits(count: int = 1_000_000) -> bytes:
    """A number with a million digits."""
    return b'{"a":' + b"9" * count + b"}"


def duplicates(count: int = 20_000) -> bytes:
    """One key over and over."""
    return b"{" + b",".join(b'"a":%d' % i for i in range(count)) + b"}"


def byte_order_mark() -> bytes:
    """UTF-8 with a byte order mark."""
    return b"\xef\xbb\xbf" + json.dumps({"model_type": "bert"}).encode()


def utf16() -> bytes:
    """What Windows PowerShell's `>` writes."""
    return json.dumps({"model_type": "bert"}).encode("utf-16")


def latin1() -> bytes:
    """A byte that is not UTF-8."""
    return b'{"name":\n  "caf\xe9"}'


ALL: tuple[Callable[[], bytes], ...] = (
    *(deep, deep_closed, wide, objects, unterminated, digits, byte_order_mark, utf16, latin1),
)
"""Generators of texts that must be refused as a document."""
