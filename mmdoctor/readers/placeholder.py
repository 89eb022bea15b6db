"""Files that hold something else in place of their content: pointers, error pages, nothing, zeros."""

import re

from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.names import TOKENIZER_NAMES, is_model_name, is_weight_name

POINTER = "a Git LFS pointer"
"""What `placeholder` says of a pointer."""

_REFUSAL = re.compile(
    rb"\s*(Entry not found|(Not Found|Unauthorized|Forbidden)\b|Repository not found|Invalid (username|credentials)"
    rb"|Access to model|40[134]\b|\{\s*.error.\s*:\s*[\x22{])",
    re.IGNORECASE,
)
"""What servers answer in place of a file; the first ones are Hugging Face's."""
_TORCH = re.compile(r"(pytorch_model|adapter_model|diffusion_pytorch_model)[^/]*\.bin|.*\.(pt|pth)")
_PLAIN_TEXT = (".txt", ".jinja")
_PAGE = re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)


def placeholder(entry: FileEntry) -> str | None:
    """What stands in a model's file instead of its content; None where the content is there, or may be."""
    if is_weight_name(entry.name):
        return _common(entry) or _weights(entry)
    if is_model_name(entry.name) or entry.name.endswith(".json"):
        return _common(entry) or _zeros(entry)
    return None


def _common(entry: FileEntry) -> str | None:
    name, head, kind = entry.name, entry.head, entry.kind
    if kind is FileKind.LFS_POINTER:
        return POINTER
    if kind is FileKind.HTML and (not name.endswith(_PLAIN_TEXT) or _PAGE.match(head)):
        return "an HTML or XML page"
    if kind is FileKind.EMPTY and not name.endswith(_PLAIN_TEXT):
        return "0 bytes"
    if kind in (FileKind.JSON, FileKind.TEXT) and entry.size < len(head) + 1 and _REFUSAL.match(head):
        return "a server's error message"
    return None


def _weights(entry: FileEntry) -> str | None:
    if entry.kind in (FileKind.JSON, FileKind.TEXT):
        return f"{entry.kind} instead of weights"
    if entry.kind is FileKind.COMPRESSED:
        return "a compressed file that no loader unpacks"
    if entry.kind is FileKind.UNKNOWN and _TORCH.fullmatch(entry.name):
        return _all_zero(entry) or "bytes that are no PyTorch file"
    return None


def _zeros(entry: FileEntry) -> str | None:
    if entry.kind is FileKind.UNKNOWN and (entry.name in TOKENIZER_NAMES or entry.name.endswith(".json")):
        return _all_zero(entry)
    return None


def _all_zero(entry: FileEntry) -> str | None:
    return f"zeros in its first {len(entry.head)} bytes" if entry.head and not any(entry.head) else None
