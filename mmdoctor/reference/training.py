"""Trains the reference model on the shapes world, from a seed.

AdamW: Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101; cosines with a restart: Loshchilov and Hutter 2016,
https://arxiv.org/abs/1608.03983; scenes of one and two objects first: Bengio et al. 2009, "Curriculum learning",
https://doi.org/10.1145/1553374.1553380.

A run is a function of its `Plan`. Every step throws its own scenes from the seed and the step's number, nothing else is
random, so a run that was killed goes on from its checkpoint to the same bits. Each half of a step's scenes is computed
by one thread, and the halves' gradients are added in a fixed order: two cores take half the time of one, and the bits
are the same. Another processor, or another version of torch, rounds differently: the same quality, not the same bits.

Float32, and attention as the textbook writes it: both are faster here than bfloat16 (by 1.8) and torch's fused
attention (by 1.1), measured on two cores with AVX-512.

    train(Plan(kind="hybrid"), Path("out"), Path("out.checkpoint"))
"""

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference import practice
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundle import default_config, write_folder
from mmdoctor.reference.config import FusionKind, ReferenceConfig
from mmdoctor.reference.losses import total
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.practice import losses_of, prepare
from mmdoctor.reference.processor import SETTINGS, Processor
from mmdoctor.reference.scenes import MOST_OBJECTS
from mmdoctor.reference.seeding import uniform
from mmdoctor.reference.tasks import Words
from mmdoctor.reference.tokenizer import Tokenizer, files
from mmdoctor.reference.vision import PatchEmbedding

STEPS: dict[FusionKind, int] = {"hybrid": 8000, "early": 2000, "late": 2000}
"""Steps of the bundled models."""

SEED = 2026
"""Of the bundled models."""

_LEARNING_RATE = 1e-3
_FEW_OBJECTS = 0.096
"""Fraction of the steps that show at most two objects."""
_SEEING = 0.44
"""Fraction of the steps that practise captions most; then the learning rate starts anew."""
_SEEING_COSINE = 0.8
"""Fraction of the steps that the first cosine would take; it is cut where the second begins."""
_WARM_UP = 0.032
"""Fraction of the steps, and a quarter of it for the second cosine."""
_BETAS = (0.9, 0.98)
_WEIGHT_DECAY = 0.01
_LARGEST_GRADIENT = 2.0
_EMBEDDING_DEVIATION = 0.2
_SHARDS = 2
"""Parts of a step's scenes, each computed by one thread."""
CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides the weights."""

    kind: FusionKind = "hybrid"
    seed: int = SEED
    steps: int

    def learning_rate(self, step: int) -> float:
        """Two cosines, each behind a short rise along a line; the second ends at nearly nothing."""
        second = self._steps(_SEEING)
        if step < second:
            return _rate(step, self._steps(_WARM_UP), self._steps(_SEEING_COSINE))
        return _rate(step - second, self._steps(_WARM_UP / 4), self.steps - second)

    def most_objects(self, step: int) -> int:
        """Objects in the step's fullest scene."""
        return 2 if step < self._steps(_FEW_OBJECTS) else MOST_OBJECTS

    def mix(self, step: int) -> practice.Mix:
        """How the step's scenes are shared out among the tasks."""
        return practice.SEEING if step < self._steps(_SEEING) else practice.ANSWERING

    def _steps(self, fraction: float) -> int:
        return max(1, round(fraction * self.steps))


def _rate(step: int, warm_up: int, end: int) -> float:
    if step < warm_up:
        return _LEARNING_RATE * (step + 1) / warm_up
    return _LEARNING_RATE * (1 + math.cos(math.pi * (step - warm_up) / max(1, end - warm_up))) / 2


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run is."""

    step: int
    """Steps done."""
    steps: int
    losses: dict[str, float]
    """The step's loss by task, not weighted."""
    seconds: float
    """Since this process began to train."""
    scenes_per_second: float
    seconds_left: float


def initial_state(model: ReferenceModel, seed: int) -> dict[str, Tensor]:
    """Weights to start from, the same bits everywhere: uniform, of variance 1 / (3 fan-in) as torch's own layers.

    Biases are 0; embeddings have a deviation of 0.2.
    """
    state = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full, shape = f"{path}.{name}".removeprefix("."), tuple(parameter.shape)
            linear = isinstance(module, nn.Linear | PatchEmbedding)
            deviation = 1 / math.sqrt(3 * math.prod(shape[1:])) if linear else _EMBEDDING_DEVIATION
            if name == "bias":
                values = torch.zeros(shape)
            elif isinstance(module, nn.LayerNorm):
                values = torch.ones(shape)
            else:
                values = uniform(full, shape, deviation=deviation, seed=seed)
            state[full] = values.to(torch.float32)
    return state


class Trainer:
    """A model being trained: `advance` it step by step, `save` and `resume` it at any step.

    Args:
        plan: the run.
        threads: 1 or 2; the weights are the same.
    """

    def __init__(self, plan: Plan, *, threads: int = _SHARDS) -> None:
        self.plan = plan
        self.step = 0
        self.config: ReferenceConfig = default_config(plan.kind)
        self.replicas = [self._replica() for _ in range(_SHARDS)]
        self.model = self.replicas[0]
        self.model.load_state_dict(initial_state(self.model, plan.seed))
        for replica in self.replicas[1:]:
            for own, shared in zip(replica.parameters(), self.model.parameters(), strict=True):
                own.data = shared.data
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=_LEARNING_RATE, betas=_BETAS, weight_decay=_WEIGHT_DECAY, fused=True
        )
        self.processor = Processor(SETTINGS, Tokenizer(files()["tokenizer.json"]))
        self.words = Words(self.processor.tokenizer)
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def _replica(self) -> ReferenceModel:
        with torch.random.fork_rng(devices=[]):
            model = ReferenceModel(self.config)
        use_attention(model, "textbook")
        return model

    def advance(self) -> dict[str, float]:
        """One step.

        Returns:
            The loss by task, not weighted.
        """
        parts = list(self._pool.map(self._shard, range(_SHARDS)))
        self._pool.submit(self._update).result()
        self.step += 1
        return {name: sum(part.get(name, 0.0) for part in parts) / _SHARDS for name in parts[0]}

    def _update(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate(self.step)
        for parameter, *others in zip(*(replica.parameters() for replica in self.replicas), strict=True):
            # What no task reads, such as the vector that speaks for an absent picture, has no gradient.
            gradients = [one.grad for one in (parameter, *others) if one.grad is not None]
            if gradients:
                parameter.grad = sum(gradients[1:], gradients[0]) / _SHARDS
        nn.utils.clip_grad_norm_(self.model.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()

    def _shard(self, index: int) -> dict[str, float]:
        replica = self.replicas[index]
        replica.zero_grad(set_to_none=True)
        part = prepare(
            self.words,
            self.processor,
            self.config.vision_config.num_patches,
            seed=self.plan.seed,
            number=self.step * _SHARDS + index,
            most_objects=self.plan.most_objects(self.step),
            mix=self.plan.mix(self.step),
        )
        losses = losses_of(replica, part)
        total(losses).backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        return {name: loss.item() for name, loss in losses.items()}

    def save(self, file: Path) -> None:
        """Write a checkpoint; whoever is killed meanwhile leaves the one before."""
        temporary = file.with_name(f"{file.name}.part")
        content = {
            "plan": msgspec.to_builtins(self.plan),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with temporary.open("wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)

    def resume(self, file: Path) -> None:
        """Go on where the checkpoint was written.

        Raises:
            MMDoctorError: it is not a checkpoint of this plan.
        """
        try:
            content: dict[str, Any] = torch.load(file, weights_only=True)
            plan = msgspec.convert(content["plan"], Plan)
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise MMDoctorError(f"{file} is not a checkpoint of a training run ({error}); remove it") from None
        if plan != self.plan:
            raise MMDoctorError(f"{file} is of another run ({plan}, not {self.plan}); remove it or train elsewhere")
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.step = content["step"]


def train(
    plan: Plan,
    folder: Path,
    checkpoint: Path,
    *,
    progress: Callable[[Report], None] | None = None,
    threads: int = _SHARDS,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> ReferenceModel:
    """Train, from the checkpoint if there is one, and write the finished folder; the checkpoint is then removed.

    Args:
        plan: the run.
        folder: for the model, in the Hugging Face layout; a checkpoint may lie in it.
        checkpoint: file to go on from after a kill.
        progress: called after every step.
        threads: 1 or 2; the weights are the same.
        checkpoint_seconds: seconds between two checkpoints.

    Raises:
        MMDoctorError: the checkpoint is of another run, or a loss is no longer a number.
    """
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(mode=True)
    try:
        trainer = Trainer(plan, threads=threads)
        if checkpoint.exists():
            trainer.resume(checkpoint)
        _run(trainer, checkpoint, checkpoint_seconds, progress)
    finally:
        torch.use_deterministic_algorithms(mode=before)
    write_folder(folder, trainer.config, trainer.model.state_dict())
    checkpoint.unlink(missing_ok=True)
    return trainer.model


def _run(
    trainer: Trainer, checkpoint: Path, checkpoint_seconds: float, progress: Callable[[Report], None] | None
) -> None:
    first, began = trainer.step, time.monotonic()
    saved = began
    while trainer.step < trainer.plan.steps:
        losses = trainer.advance()
        if not all(math.isfinite(loss) for loss in losses.values()):
            raise MMDoctorError(f"step {trainer.step} gave a loss that is not a number: {losses}")
        now = time.monotonic()
        if now - saved >= checkpoint_seconds:
            trainer.save(checkpoint)
            saved = now
        if progress is not None:
            progress(_report(trainer, losses, now - began, trainer.step - first))


def _report(trainer: Trainer, losses: dict[str, float], seconds: float, done: int) -> Report:
    left = trainer.plan.steps - trainer.step
    return Report(
        step=trainer.step,
        steps=trainer.plan.steps,
        losses=losses,
        seconds=seconds,
        scenes_per_second=done * _SHARDS * practice.SCENES / seconds,
        seconds_left=left * seconds / done,
    )
