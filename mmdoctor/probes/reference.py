"""The self-test of the bundled reference model as a fact; the model of somebody else has none."""

import importlib.util

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.facts.source import Depth, Source
from mmdoctor.progress import Progress

_STEPS = 1000
"""Of the progress bar."""


def self_test(source: Source, depth: Depth, progress: Progress | None = None) -> SelfTest:
    """What this machine makes of the bundled reference model. Depth: run."""
    if not source.bundled:
        raise NotApplicable("only for the bundled reference model")
    if not depth.covers(Depth.RUN):
        raise NotApplicable("needs --depth run: the reference model is run")
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("torch is not installed here")
    from mmdoctor.reference import run_self_test

    watched, done = progress or Progress(), 0

    def tell(step: str, fraction: float) -> None:
        nonlocal done
        watched.step(f"self-test: {step}")
        steps = int(fraction * _STEPS)
        watched.advance(max(0, steps - done))
        done = max(steps, done)

    watched.start("self-test of this machine", _STEPS, unit="steps")
    return run_self_test(progress=tell)
