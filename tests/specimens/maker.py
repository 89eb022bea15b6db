"""Making specimens on disk, once."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import unittest
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOOLS = ("phantom.py", "faults.py", "tensors.py", "older.py", "examine.py", "audit.py")
"""Modules of this folder that do not shape a specimen, and so leave the cache alone."""

NAMES: tuple[str, ...] = (
    "clip", "siglip", "siglip2", "vision-text-dual-encoder", "altclip", "flava", "owlvit", "owlv2",
    "blip", "blip-2", "instructblip", "git", "vilt", "kosmos-2", "florence2", "vision-encoder-decoder", "janus",
    "layoutlmv3", "llava", "llava-sharded", "vipllava", "llava_next", "llava_next_video", "llava_onevision",
    "video_llava", "aya_vision", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl-sharded", "qwen3_vl", "qwen3_vl_moe",
    "qwen2_5_omni_thinker", "internvl", "glm4v", "paligemma", "gemma3", "gemma3n", "idefics2", "idefics3", "smolvlm",
    "mllama", "llama4", "pixtral", "mistral3", "whisper", "wav2vec2", "clap", "qwen2_audio", "vit", "deit", "dinov2",
    "dinov2_with_registers", "llama", "qwen2", "qwen3", "gemma2", "mistral", "mixtral", "phi3", "gpt2", "t5", "bert",
    "distilbert", "roberta",
)  # fmt: skip
"""Every specimen; written out so that a test can be parametrised without importing torch."""


class UnavailableError(unittest.SkipTest):
    """A specimen that cannot be made with what is installed; a test that asks for it is skipped."""


def default_root() -> Path:
    """`MMDOCTOR_SPECIMENS`, or a folder of the checkout that git ignores."""
    named = os.environ.get("MMDOCTOR_SPECIMENS")
    return Path(named) if named else HERE.parents[1] / ".cache" / "specimens"


def build(name: str, root: Path | None = None) -> Path:
    """The folder of the specimen `name`, made under `root` where it is not there yet.

    Raises:
        KeyError: There is no such specimen.
        UnavailableError: The specimen needs something that is not installed.
    """
    if name not in NAMES:
        raise KeyError(f"no specimen is called {name!r}; there are {', '.join(NAMES)}")
    target = cache(root or default_root()) / name
    if not target.exists():
        with draft(target) as folder:
            _make(name, folder)
    return target


def cache(root: Path, kind: str = "specimens", files: Iterable[Path] | None = None) -> Path:
    """The folder under `root` for this transformers and this source of the builder."""
    digest = hashlib.sha256()
    for file in _source() if files is None else files:
        digest.update(file.read_bytes())
    return root / f"{kind}-{importlib.metadata.version('transformers')}-{digest.hexdigest()[:12]}"


def _source() -> list[Path]:
    return [file for file in sorted(HERE.glob("*.py")) if file.name not in TOOLS and not file.name.startswith("test_")]


@contextlib.contextmanager
def draft(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when the block ends well; of two makers at once the first one wins."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.chmod(0o644)  # safetensors leaves its files to their owner alone
        with contextlib.suppress(OSError):  # somebody else was faster
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(name: str, folder: Path) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    from tests.specimens.configs import refill
    from tests.specimens.recipe import recipes

    made = recipes()[name]
    if int(transformers.__version__.split(".")[0]) < made.since:
        raise UnavailableError(f"{name} needs transformers {made.since}, not {transformers.__version__}")
    missing = [need for need in made.needs if not _installed(need)]
    if missing:
        raise UnavailableError(f"{name} needs {', '.join(missing)}")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patient = made.make()
        model = refill(patient.model).to(getattr(torch, made.dtype)).eval()
        sharding = {"max_shard_size": made.max_shard_size} if made.max_shard_size else {}
        model.save_pretrained(folder, **sharding)
    for processor in patient.processors:
        processor.save_pretrained(folder)
        _both_preprocessors(processor, folder)
    _same_dtype_everywhere(folder, made.dtype)


def _both_preprocessors(processor: Any, folder: Path) -> None:
    """4.x writes eyes and ears into one file, the last one wins; the published files hold the keys of both."""
    parts = [getattr(processor, part, None) for part in ("image_processor", "feature_extractor")]
    file = folder / "preprocessor_config.json"
    if None not in parts and file.exists():
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= json.loads(part.to_json_string())
        file.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _same_dtype_everywhere(folder: Path, dtype: str) -> None:
    """Nested configs keep the dtype they were made with; published ones name the one of the file."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("dtype", "torch_dtype") and isinstance(value, str):
                    node[key] = dtype
                visit(value)

    visit(config)
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
