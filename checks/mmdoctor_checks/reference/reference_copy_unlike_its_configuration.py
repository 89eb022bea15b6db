"""REF010."""

from collections.abc import Iterable, Iterator

from mmdoctor.architectures.grouping import group_names
from mmdoctor.check import check
from mmdoctor.facts.checkpoint import CompleteCheckpoint
from mmdoctor.facts.reference import ReferenceLayout
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

_AGAIN = Fix("export it again: mmdoctor reference export TARGET --force")
_SHOWN = 8
"""Groups of names that are listed as evidence."""
_CAUSES = ("INT001", "INT002", "INT003", "INT005", "INT006", "INT008", "INT010", "INT012", "INT018", "INT025")
_SHAPES = ("ATT001", "ATT003", "ATT004", "ATT005", "ATT007", "DRF014", "DRF016", "DRF017", "PRE011")


@check("REF010", Severity.ERROR, yields_to=(*_CAUSES, *_SHAPES))
def reference_copy_unlike_its_configuration(layout: ReferenceLayout, complete: CompleteCheckpoint) -> Iterator[Problem]:
    """A copy of the reference model holds other weights than its configuration makes.

    ## What it checks

    A folder that `mmdoctor reference export` or `mmdoctor reference train` wrote, or one that says so in its
    config.json: the settings fit each other, and the weights are exactly the tensors that they make, by name and shape.
    A single `.pt` of the bundled model is compared with the bundled configuration. mmdoctor knows every tensor of this
    one model, so nothing is left to patterns here; what the general rules find is told by them.

    ## Why it matters

    The copy does not load, or loads with random numbers in places. The reference model serves to try a deployment
    with: a fault in the copy would be taken for one of the machine.

    ## How to fix it

    Export the model again, or train it again with the changed configuration.

    ## Sources

    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
    """
    if layout.contradiction is not None:
        yield Problem(
            f"no reference model can be made from this configuration: {layout.contradiction}",
            because=[Evidence("configuration", layout.contradiction, layout.at)],
            fix=_AGAIN,
        )
        return
    observed = complete.checkpoint.tensors
    missing = layout.shapes.keys() - observed.keys()
    unexpected = observed.keys() - layout.shapes.keys()
    other = [name for name in layout.shapes if name in observed and observed[name].shape != layout.shapes[name]]
    if not (missing or unexpected or other):
        return
    file = complete.checkpoint.files[0].path
    because = [Evidence("tensor", "missing", Location(file=file, tensor=name), "present") for name in _groups(missing)]
    because += [
        Evidence("shape", str(list(observed[name].shape)), observed[name].at, str(list(layout.shapes[name])))
        for name in other[:_SHOWN]
    ]
    because += [
        Evidence("tensor", "present", Location(file=file, tensor=name), "no such tensor")
        for name in _groups(unexpected)
    ]
    because.append(Evidence("tensors that the configuration makes", len(layout.shapes), layout.at))
    counts = (
        (len(missing), "missing"),
        (len(other), "of another shape"),
        (len(unexpected), "there that it does not make"),
    )
    told = " and ".join(f"{count} {'is' if count == 1 else 'are'} {what}" for count, what in counts if count)
    yield Problem(
        f"of the {len(layout.shapes)} tensors that the configuration makes, {told} (first: {because[0].at.tensor}): "
        "the copy will not load",
        because=because,
        fix=_AGAIN,
    )


def _groups(names: Iterable[str]) -> list[str]:
    return list(group_names(sorted(names))[:_SHOWN])
