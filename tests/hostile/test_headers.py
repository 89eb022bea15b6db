"""Whatever is handed in: an answer, in ten seconds and 512 MiB, without a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.headers import ATTACKS

ROOT = Path(__file__).parents[2]
SECONDS = 10
MEBIBYTES = 512

PROGRAM = """
import resource, sys
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.errors import NothingToCheckError
from mmdoctor.readers.checkpoint import checkpoint
from mmdoctor.readers.index import shard_index
from mmdoctor.readers.source import open_source
from mmdoctor_checks.integrity.hf_cache_broken_links_or_incomplete import hf_cache_broken_links_or_incomplete
from mmdoctor_checks.integrity.index_vs_files import index_vs_files
from mmdoctor_checks.integrity.safetensors_truncated_or_bad_header import safetensors_truncated_or_bad_header
from mmdoctor_checks.integrity.gguf_truncated_or_bad_header import gguf_truncated_or_bad_header

def fact(make, *of):
    try:
        return make(*of)
    except (NotApplicable, Unavailable) as answer:
        print("answer:", str(answer)[:300])

try:
    source = open_source(sys.argv[1])
    weights, index = fact(checkpoint, source), fact(shard_index, source)
    problems = [*index_vs_files(source, index, weights)]
    problems += hf_cache_broken_links_or_incomplete(source, None, weights, index)
    if weights:
        problems += [*safetensors_truncated_or_bad_header(weights), *gguf_truncated_or_bad_header(weights)]
        print("tensors:", len(weights.tensors))
    for problem in problems:
        print("problem:", problem.message[:400])
except NothingToCheckError as answer:
    print("nothing:", answer)
print("peak:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize("name", ATTACKS)
def test_an_answer_in_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    target = ATTACKS[name](tmp_path)

    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(target)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'checks'}", "PATH": ""},
    )

    assert run.returncode == 0, run.stderr[-2000:]
    *answers, peak = run.stdout.splitlines()
    assert answers
    assert "root:" not in run.stdout
    assert int(peak.removeprefix("peak: ")) < MEBIBYTES, run.stdout
