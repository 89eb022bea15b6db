"""Which GPUs `CUDA_VISIBLE_DEVICES` leaves to a process.

The rules are CUDA's own (programming guide, "CUDA environment variables") as torch spells them out in
`torch/cuda/__init__.py`, `_parse_visible_devices` and `_transform_uuid_to_ordinals`: entries count up to the first
invalid one, an entry that stands twice leaves none, a UUID may be shortened as long as it stays unique.
"""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"\s*([+-]?[0-9]+)")


def visible(spec: str | None, uuids: Sequence[str | None]) -> tuple[int, ...]:
    """Positions of the visible devices, in the order in which CUDA numbers them.

    Args:
        spec: value of the variable; None when it is not set, which makes all visible.
        uuids: UUID of each whole GPU (`GPU-...`) in the driver's order, None where it could not be read.
    """
    if spec is None:
        return tuple(range(len(uuids)))
    named: list[int] = []
    for entry in spec.split(","):
        position = _position(entry, uuids)
        if position is None:
            break
        if position in named:
            return ()
        named.append(position)
    first_invalid = next((i for i, position in enumerate(named) if position >= len(uuids)), len(named))
    return tuple(named[:first_invalid])


def visible_slices(spec: str | None, slices: Sequence[tuple[int, str | None]]) -> tuple[int, ...]:
    """Positions of the visible MIG slices, for machines where MIG is on.

    CUDA gives a process one slice: the first one named, or the first there is (NVIDIA MIG user guide,
    "Device enumeration"). All slices that are named are returned, as launchers of one process a slice name them.

    Args:
        spec: value of the variable; None when it is not set.
        slices: of each slice, the position of its GPU and its UUID (`MIG-...`).
    """
    if spec is None:
        return tuple(range(len(slices)))
    chosen: list[int] = []
    for entry in (e.strip() for e in spec.split(",")):
        number = _NUMBER.match(entry)
        if entry.startswith("MIG-"):
            found = [i for i, (_, uuid) in enumerate(slices) if uuid is not None and _same_slice(uuid, entry)]
            found = found if len(found) == 1 else []
        elif number is not None:
            found = [i for i, (gpu, _) in enumerate(slices) if gpu == int(number.group(1))]
        else:
            found = []
        if not found or set(found) & set(chosen):
            break
        chosen.extend(found)
    return tuple(chosen)


def _position(entry: str, uuids: Sequence[str | None]) -> int | None:
    """The position that an entry names, maybe past the last GPU; None where it names none."""
    entry = entry.strip()
    if entry.startswith("GPU-"):
        matches = [i for i, uuid in enumerate(uuids) if uuid is not None and uuid.startswith(entry)]
        return matches[0] if len(matches) == 1 else None
    number = _NUMBER.match(entry)
    if number is None:
        return None
    position = int(number.group(1))
    return position if position >= 0 else None


def _same_slice(uuid: str, entry: str) -> bool:
    # Old drivers name a slice MIG-GPU-<uuid>/<gi>/<ci>, new ones MIG-<uuid>.
    return uuid == entry if "/" in entry else uuid.startswith(entry)
