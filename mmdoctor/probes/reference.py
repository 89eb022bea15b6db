"""The self-test of the bundled reference model as a fact; the model of somebody else has none."""

import importlib.util

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.reference import SelfTest
from mmdoctor.facts.source import Depth, Source
from mmdoctor.progress import Progress


def self_test(source: Source, depth: Depth, progress: Progress | None = None) -> SelfTest:
    """What this machine makes of the bundled reference model. Depth: run."""
    if not source.bundled:
        raise NotApplicable("only for the bundled reference model")
    if not depth.covers(Depth.RUN):
        raise NotApplicable("needs --depth run: the reference model is run")
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("torch is not installed here")
    from mmdoctor.reference import run_self_test

    if progress is not None:
        progress.start("running the reference model")
    return run_self_test()
