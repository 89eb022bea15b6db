"""What one device makes of the bundled models, measured. It judges nothing; the REF rules do."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import msgspec
import torch
from torch import Tensor

from mmdoctor.facts.self_test import Deviation, KernelRun, ModelRun, Repetition, Writing
from mmdoctor.reference import golden, kernels
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundled import Subject
from mmdoctor.reference.comparison import CHOICES, agreement, deviation, deviations, named_outputs, sure_choices
from mmdoctor.reference.decoder import DecoderCache
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.rounding import NOTHING, Tolerance
from mmdoctor.reference.sample import Batch
from mmdoctor.reference.tracing import trace

BATCH = 8


class Device:
    """One device and the models on it.

    Args:
        device: torch's name of it.
        subjects: the bundled models; kernels and repetitions take the first one.
        threads: threads that the process has for one operation.
    """

    def __init__(self, device: str, subjects: Sequence[Subject], threads: int) -> None:
        self.device = torch.device(device)
        self.subjects = subjects
        self.threads = threads
        self._models: dict[tuple[str, str], ReferenceModel] = {}

    def model(self, subject: Subject, dtype: str) -> ReferenceModel:
        """The model in that type on the device, moved there once."""
        key = subject.fusion, dtype
        if key not in self._models:
            self._models[key] = copy.deepcopy(subject.model).to(self.device, getattr(torch, dtype))
        return self._models[key]

    def batch(self, subject: Subject, dtype: str) -> Batch:
        """The fixed batch in that type on the device."""
        return subject.given.batch.to(self.device, getattr(torch, dtype))

    def runs(self, subject: Subject, dtypes: Sequence[str], attentions: Sequence[str]) -> Iterator[ModelRun]:
        """The model in each type with each attention, against its record."""
        for dtype in dtypes:
            for attention in attentions:
                yield self.run(subject, dtype, attention)

    def run(self, subject: Subject, dtype: str, attention: str) -> ModelRun:
        """The model in one type with one attention, against its record."""
        run = ModelRun(fusion=subject.fusion, dtype=dtype, attention=attention)
        backend = kernels.backends().get(attention)
        with nullcontext() if backend is None else kernels.registered(attention, backend) as only:
            try:
                found = kernels.attempted(lambda: self._against_record(run, subject))
            except (RuntimeError, ValueError, IndexError) as error:
                return _but(run, failed=kernels.first_line(error))
        if isinstance(found, str):
            return _but(run, unavailable=found)
        if only is None or not only.refused:
            return found
        why = "; ".join(dict.fromkeys(only.refused))
        if not only.ran:
            return _but(run, unavailable=why)
        return _but(found, note=f"torch took it for {only.ran} of {only.ran + len(only.refused)} calls ({why})")

    def _against_record(self, run: ModelRun, subject: Subject) -> ModelRun:
        model, batch = self.model(subject, run.dtype), self.batch(subject, run.dtype)
        use_attention(model, _implementation(run.attention))
        record, expected, expected_layers = subject.golden
        outputs, layers, _ = trace(model, batch)
        tolerances = record.outputs[run.dtype]
        choices = {name: expected[name].argmax(-1) for name in CHOICES}
        sure = {name: sure_choices(expected[name], tolerances[name]) for name in CHOICES}
        compared, agreed = agreement(outputs, choices, sure)
        compared_layers = deviations(layers, expected_layers, record.layers[run.dtype])
        return _but(
            run,
            outputs=deviations({**subject.given.prepared, **outputs}, expected, tolerances),
            layers=len(compared_layers),
            layers_used=max((layer.used for layer in compared_layers), default=0.0),
            first_layer=next((layer for layer in compared_layers if layer.exceeded), None),
            top1_compared=compared,
            top1_agreed=agreed,
            written=self._written(subject, model, batch, run.dtype),
        )

    def _written(self, subject: Subject, model: ReferenceModel, batch: Batch, dtype: str) -> tuple[Writing, ...]:
        captions = subject.golden.record.captions
        longest = max((caption.sure[dtype] for caption in captions), default=0)
        if not longest:
            return ()
        rows = golden.write_captions(model, batch, longest)
        decode = subject.processor.tokenizer.decode
        return tuple(
            Writing(
                expected=decode(caption.ids[: caption.sure[dtype]]),
                observed=decode(row[: caption.sure[dtype]]),
                sure=caption.sure[dtype],
                same=next((i for i, (a, b) in enumerate(zip(row, caption.ids, strict=False)) if a != b), len(row)),
            )
            for row, caption in zip(rows, captions, strict=True)
        )

    def kernels(self, dtypes: Sequence[str]) -> Iterator[KernelRun]:
        """Attention and products by themselves."""
        recorded = self.subjects[0].golden.record.kernels
        for dtype in dtypes:
            yield from kernels.compare_attention(self.device, dtype, recorded[dtype])
            yield from kernels.compare_products(self.device, dtype, recorded[dtype])

    def repetitions(self, dtypes: Sequence[str]) -> Iterator[Repetition]:
        """The same again, in a batch of eight, with a cache, and with all threads."""
        subject = self.subjects[0]
        for dtype in dtypes:
            try:
                yield from self._repeated(subject, dtype)
            except RuntimeError:  # the plain run of this type says what stops it
                continue

    def _repeated(self, subject: Subject, dtype: str) -> Iterator[Repetition]:
        model, batch = self.model(subject, dtype), self.batch(subject, dtype)
        use_attention(model, _implementation(kernels.AUTOMATIC))
        recorded = subject.golden.record.outputs[dtype]
        twice = {name: tolerance.times(2) for name, tolerance in recorded.items()}

        def outputs(samples: list[int] | None = None) -> dict[str, Tensor]:
            return trace(model, batch if samples is None else batch.samples(samples)).outputs

        def against(how: str, observed: Mapping[str, Tensor], tolerances: Mapping[str, Tolerance]) -> Repetition:
            return Repetition(how=how, dtype=dtype, deviations=deviations(observed, plain, tolerances))

        plain = outputs()
        yield against("again", outputs(), dict.fromkeys(plain, NOTHING))
        if self.device.type == "cpu" and self.threads > 1:
            with threads(self.threads):
                yield against("threaded", outputs(), twice)
        yield Repetition(how="batched", dtype=dtype, deviations=self._batched(model, batch, twice))
        yield Repetition(how="cached", dtype=dtype, deviations=(self._cached(model, batch, twice["caption_logits"]),))

    def _batched(
        self, model: ReferenceModel, batch: Batch, tolerances: Mapping[str, Tolerance]
    ) -> tuple[Deviation, ...]:
        """Each output of sample 0 alone, and as the first of eight."""
        eight = [index % len(batch.input_ids) for index in range(BATCH)]
        alone = named_outputs(model(*batch.samples([0])))
        first = {name: tensor[:1] for name, tensor in named_outputs(model(*batch.samples(eight))).items()}
        return deviations(first, alone, tolerances)

    def _cached(self, model: ReferenceModel, batch: Batch, tolerance: Tolerance) -> Deviation:
        """Caption logits token by token, and all at once."""
        encoded, cache = model(*batch).encoded, DecoderCache()
        tokens = torch.split(batch.decoder_input_ids, 1, dim=1)
        steps = torch.cat([model.write(token_B1, encoded, cache) for token_B1 in tokens], dim=1)
        return deviation("caption_logits", steps, model.write(batch.decoder_input_ids, encoded), tolerance)


def _but(run: ModelRun, **changes: object) -> ModelRun:
    return msgspec.structs.replace(run, **changes)


def _implementation(attention: str) -> str:
    return "sdpa" if attention == kernels.AUTOMATIC else attention


@contextmanager
def threads(number: int) -> Iterator[None]:
    """That many threads for one operation; set back afterwards.

    One is the fastest for a model of this size: with more, waiting for each other on a busy machine takes seconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
