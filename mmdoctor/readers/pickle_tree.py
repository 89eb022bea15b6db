"""The tree of containers in a pickle, cut down to the branches that hold tensors, with names as state_dict() gives."""

from collections.abc import Callable, Iterator, Mapping

from mmdoctor.readers.pickle_records import Call, Dict, Persistent, Record, Set
from mmdoctor.readers.pickle_tensors import TensorRecord, is_impossible, sizes, storage_of, tensor_of

MAX_VISITS = 200_000
"""Containers with tensors that are entered. A shared one is entered once for each of its names, so a few bytes can
stand for any number; a real whole model has less than 20,000 modules."""
MAX_TENSORS = 200_000
"""Tensor names listed; the largest models have about 150,000 (384 experts in 60 layers, three matrices, scales)."""
MAX_DEPTH = 200
"""Containers within containers that are followed; real models nest about 20 deep."""

SCRIPT_CLASS = "__torch__."
"""How the dotted names of TorchScript's classes begin; they exist only within the archive."""

_CONTAINERS = {"collections.OrderedDict", "collections.defaultdict", "collections.Counter", "collections.deque"} | {
    f"builtins.{name}" for name in ("dict", "list", "tuple", "set", "frozenset")
}


class Node:
    """A container with tensors somewhere below it."""

    __slots__ = ("depth", "entries", "keys", "kind", "parent", "record", "scalars", "tensors")

    def __init__(self, record: Record, kind: str, parent: "Node | None") -> None:
        self.record = record
        self.kind = kind
        """`mapping`, `list`, `module` (a torch module) or `instance`."""
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.entries: list[tuple[str, TensorRecord | Node]] = []
        """Tensors and containers by key, in order."""
        self.keys: list[str] = []
        """All keys, those without tensors below them too."""
        self.scalars = 0
        """Entries that are plain numbers, strings or None."""
        self.tensors = 0
        """Tensors at and below this node."""

    def flatten(self) -> Iterator[tuple[str, TensorRecord]]:
        """Every tensor below with its dotted name."""
        stack: list[tuple[str, Iterator[tuple[str, TensorRecord | Node]]]] = [("", iter(self.entries))]
        while stack:
            prefix, entries = stack[-1]
            for key, value in entries:
                name = f"{prefix}{key}" if key else prefix.removesuffix(".")
                if isinstance(value, Node):
                    if value.tensors:
                        stack.append((f"{name}." if name else "", iter(value.entries)))
                        break
                else:
                    yield name, value
            else:
                stack.pop()

    def direct(self) -> list[tuple[str, TensorRecord]]:
        """The tensors at this node."""
        return [(key, value) for key, value in self.entries if not isinstance(value, Node)]

    def branches(self) -> list[tuple[str, "Node"]]:
        """The containers below that hold tensors."""
        return [(key, value) for key, value in self.entries if isinstance(value, Node) and value.tensors]


class Tree:
    """The tensors below a root record.

    Args:
        root: what a pickle yields.
        members: of TorchScript classes, the names that are parameters or buffers; other tensors there are no state.
    """

    def __init__(self, root: Record, members: Mapping[str, frozenset[str]] | None = None) -> None:
        self.incomplete: str | None = None
        """Which limit was met, None where all of it was walked."""
        self.impossible: list[str] = []
        """Last keys of tensors whose shape is none."""
        self._members = members or {}
        self._holders: set[int] = set()
        self._tensors: dict[int, TensorRecord | None] = {}
        self._found = 0
        self.root = self._grow(root)

    def _grow(self, root: Record) -> Node:
        tensor = self._tensor_of(root)
        self._holders = holders(root, self._tensor_of)
        top = Node(root, kind_of(root), None)
        if tensor is not None:
            top.entries.append(("", tensor))
            top.tensors = 1
            return top
        if is_impossible(root):
            self.impossible.append("the root")
        order = [top]
        too_deep = False
        for node in order:  # grows while it is walked
            if self.incomplete is not None:
                break
            if node.depth > MAX_DEPTH:
                too_deep = True
                continue
            self._fill(node, order)
        if too_deep and self.incomplete is None:
            self.incomplete = f"containers within each other more than {MAX_DEPTH} deep"
        for node in reversed(order):
            if node.parent is not None:
                node.parent.tensors += node.tensors
        return top

    def _tensor_of(self, record: Record) -> TensorRecord | None:
        """`tensor_of`, asked once of a record that stands in many places."""
        if not isinstance(record, Call):
            return None
        if id(record) not in self._tensors:
            self._tensors[id(record)] = tensor_of(record)
        return self._tensors[id(record)]

    def _fill(self, node: Node, order: list[Node]) -> None:
        seen: dict[str, int] = {}
        for key, value in self._children(node):
            entry: TensorRecord | Node
            if isinstance(value, str | int | float | bytes | None):
                node.scalars += 1
                node.keys.append(key)
                if key in seen:
                    node.entries[seen[key]] = (key, Node(None, "scalar", None))
                continue
            if len(order) > MAX_VISITS or self._found >= MAX_TENSORS:
                self.incomplete = f"more than {MAX_VISITS:,} containers or {MAX_TENSORS:,} tensors when written out"
                return
            tensor = self._tensor_of(value)
            if tensor is not None:
                entry = tensor
            elif id(value) in self._holders and not _is_above(value, node):
                entry = Node(value, kind_of(value), node)
                order.append(entry)
            else:
                node.keys.append(key)
                if is_impossible(value) and len(self.impossible) < MAX_DEPTH:
                    self.impossible.append(key)
                continue
            if key in seen and isinstance(node.entries[seen[key]][1], TensorRecord):
                node.entries[seen[key]] = (key, entry)  # the last one wins, at the first one's place
                continue
            seen[key] = len(node.entries)
            node.entries.append((key, entry))
            node.keys.append(key)
            if tensor is not None:
                node.tensors += 1
                self._found += 1

    def _children(self, node: Node) -> Iterator[tuple[str, Record]]:
        record = node.record
        if isinstance(record, Call) and record.dotted.startswith(SCRIPT_CLASS):
            names = self._members.get(record.dotted)
            for key, value in attributes(record).items():
                if names is None or key in names or tensor_of(value) is None:
                    yield key, value
        elif node.kind == "module" and isinstance(record, Call):
            yield from module_children(attributes(record))
        else:
            yield from contents(record)


def holders(root: Record, tensor_at: Callable[[Record], TensorRecord | None] = tensor_of) -> set[int]:
    """Identities of the containers that have a tensor somewhere below them, each looked into once."""
    found: set[int] = set()
    entered: set[int] = set()
    path: list[tuple[Record, Iterator[Record]]] = [(root, iter(_parts(root)))]
    while path:
        record, parts = path[-1]
        for part in parts:
            if not isinstance(part, list | tuple | Call):
                continue
            if id(part) in found or (isinstance(part, Call) and (tensor_at(part) or is_impossible(part))):
                found.add(id(record))
            elif part and id(part) not in entered:
                entered.add(id(part))
                path.append((part, iter(_parts(part))))
                break
        else:
            path.pop()
            if path and id(record) in found:
                found.add(id(path[-1][0]))
    return found


def _parts(record: Record) -> list[Record] | tuple[Record, ...]:
    if isinstance(record, Call):
        return [record.arguments, record.state, record.items, record.pairs]
    return record if isinstance(record, list | tuple) else ()


def _is_above(record: Record, node: Node | None) -> bool:
    """Whether a container is one of those that it would stand in: a cycle through the memo."""
    while node is not None:
        if node.record is record:
            return True
        node = node.parent
    return False


def kind_of(record: Record) -> str:
    """What sort of container it is."""
    if isinstance(record, Dict):
        return "mapping"
    if isinstance(record, list | tuple):
        return "list"
    if isinstance(record, Call):
        if record.dotted in _CONTAINERS:
            return "list" if record.dotted.endswith((".list", ".tuple", "set", ".deque")) else "mapping"
        if record.dotted.startswith(SCRIPT_CLASS):
            return "module"
        return "module" if {"_parameters", "_modules"} <= attributes(record).keys() else "instance"
    return "other"


def attributes(record: Call) -> dict[str, Record]:
    """An instance's attributes, from its state: a dictionary, or a pair of one and the slots."""
    states = record.state if isinstance(record.state, tuple) and len(record.state) == 2 else (record.state,)
    return {k: v for s in states if isinstance(s, Dict) for k, v in s.entries() if isinstance(k, str)}


def contents(record: Record) -> Iterator[tuple[str, Record]]:
    """Keys and values of a container; of an instance, its attributes and what it was filled with."""
    if isinstance(record, Dict):
        for key, value in record.entries():
            yield key_text(key), value
    elif isinstance(record, list | tuple):
        yield from ((str(i), v) for i, v in enumerate(record))
    elif isinstance(record, Call):
        if record.dotted in _CONTAINERS:
            for argument in record.arguments if isinstance(record.arguments, tuple) else ():
                yield from _constructor(argument)
        elif record.state is not None:
            yield from attributes(record).items()
        yield from ((str(i), v) for i, v in enumerate(record.items or ()))
        if record.pairs is not None:
            yield from contents(record.pairs)


def _constructor(argument: Record) -> Iterator[tuple[str, Record]]:
    """What a container is made from: a dictionary, or a list of pairs (Python 2's OrderedDict), or of values."""
    if not isinstance(argument, list | tuple):
        return
    pairs = [p for p in argument if isinstance(p, list | tuple) and len(p) == 2 and isinstance(p[0], str)]
    if pairs and len(pairs) == len(argument) and not isinstance(argument, Dict | Set):
        yield from ((p[0], p[1]) for p in pairs)
    else:
        yield from contents(argument)


def module_children(state: Mapping[str, Record]) -> Iterator[tuple[str, Record]]:
    """Parameters, persistent buffers and submodules, in the order of torch.nn.Module.state_dict()."""
    hidden = state.get("_non_persistent_buffers_set")
    if isinstance(hidden, Call):
        hidden = hidden.argument(0)
    skip = {s for s in hidden if isinstance(s, str)} if isinstance(hidden, list | tuple) else set()
    for section in ("_parameters", "_buffers", "_modules"):
        for key, value in contents(state.get(section)):
            if value is not None and not (section == "_buffers" and key in skip):
                yield key, value


def key_text(key: Record) -> str:
    """A dictionary key as a component of a name."""
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    return str(key) if isinstance(key, str | int | float | bool | None) else f"<{kind_of(key)}>"


def describe(record: Record) -> str:
    """What a value is, in a few words: `int`, `dict of 314 tensors`, `tensor`, `instance of argparse.Namespace`."""
    if isinstance(record, Dict):
        return "dict"
    if isinstance(record, Set):
        return "set"
    if isinstance(record, Call):
        if tensor_of(record) is not None or is_impossible(record):
            return "tensor"
        if record.dotted == "torch.Size" and sizes(record) is not None:
            return "torch.Size"
        if record.dotted in _CONTAINERS:
            return "dict" if kind_of(record) == "mapping" else record.dotted.rpartition(".")[2]
        return f"instance of {record.dotted}" if record.dotted else "instance"
    if isinstance(record, Persistent):
        return "storage" if storage_of(record) else "external object"
    return "None" if record is None else type(record).__name__.lower()
