"""A tokenizer.json of 18 MB: mmdoctor's decoding against `tokenizers.Tokenizer.from_file`, in one run.

Run: `python benchmarks/tokenizer_load.py [--entries 260000]`. Prints seconds (the best of five), the ratio, and the
peak memory of a fresh process that only decodes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_DECODE = """
import sys
from mmdoctor.readers.tokenizer_json import tokenizer_json

def peak():  # ru_maxrss would be the parent's: it survives exec
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))

with open(sys.argv[1], "rb") as file:
    data = file.read()
before = peak()
tokenizer_json(data, "tokenizer.json")
print(before, peak())
"""


def write(path: Path, entries: int) -> None:
    """A byte-level BPE tokenizer with real merges, in the layout of `tokenizers` 0.20 and later."""
    letters = [chr(0x4E00 + i) for i in range(512)]
    pairs = [(a, b) for a in letters for b in letters][: entries - len(letters)]
    vocab = {letter: index for index, letter in enumerate(letters)}
    vocab |= {a + b: len(letters) + index for index, (a, b) in enumerate(pairs)}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    model = {"type": "BPE", "vocab": vocab, "merges": [list(pair) for pair in pairs]}
    added = [{"id": len(vocab), "content": "<|image_pad|>", "special": True, **flags}]
    text = {"version": "1.0", **empty, "added_tokens": added, "model": model}
    path.write_text(json.dumps(text, ensure_ascii=False, indent=2), encoding="utf-8")


def best(function: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=260_000)
    entries = parser.parse_args().entries

    from tokenizers import Tokenizer

    from mmdoctor.readers.tokenizer_json import tokenizer_json

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        write(path, entries)
        ours = best(lambda: tokenizer_json(path.read_bytes(), "tokenizer.json"))
        theirs = best(lambda: Tokenizer.from_file(str(path)))
        run = subprocess.run([sys.executable, "-c", _DECODE, str(path)], capture_output=True, text=True, check=True)
        before, after = (int(kib) / 1024 for kib in run.stdout.split())
        print(
            f"tokenizer.json       {path.stat().st_size / 1e6:6.1f} MB, {entries:,} entries, {entries - 512:,} merges"
        )
        print(f"mmdoctor             {ours:6.3f} s   peak {after:.0f} MiB, {after - before:.0f} of it for the decoding")
        print(f"tokenizers.from_file {theirs:6.3f} s")
        print(f"ratio                {theirs / ours:6.1f} times faster")


if __name__ == "__main__":
    main()
