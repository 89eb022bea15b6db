"""The inert records that the pickle machine builds in place of objects. Nothing here can be called or compared."""

from collections.abc import Iterator

from mmdoctor.facts.checkpoint import DamageKind

Record = object
"""None, bool, int, float, str, bytes, tuple, list, or one of the classes below."""


class PickleFaultError(Exception):
    """The walk of a pickle cannot go on.

    Args:
        kind: `PICKLE_BROKEN`, or `PICKLE_TOO_COMPLEX` where a limit was met.
        message: one clause with the numbers.
        offset: byte offset of the opcode in the pickle's range.
    """

    def __init__(self, kind: DamageKind, message: str, offset: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.offset = offset


class Global:
    """A name that unpickling would import."""

    __slots__ = ("called", "module", "name", "offset")

    def __init__(self, module: str, name: str, offset: int) -> None:
        self.module = module
        self.name = name
        self.offset = offset
        self.called = False

    @property
    def dotted(self) -> str:
        """`module.name`."""
        return f"{self.module}.{self.name}"


class Call:
    """What REDUCE, NEWOBJ, OBJ or INST would call, and what is done to the result afterwards."""

    __slots__ = ("arguments", "function", "items", "new", "offset", "pairs", "state")

    def __init__(self, function: Record, arguments: Record, offset: int, *, new: bool = False) -> None:
        self.function = function
        self.arguments = arguments
        self.offset = offset
        self.new = new
        """Whether an instance is made without `__init__` (NEWOBJ)."""
        self.state: Record = None
        """Argument of the last BUILD."""
        self.items: list[Record] | None = None
        """What APPEND, APPENDS and ADDITEMS add."""
        self.pairs: Dict | None = None
        """What SETITEM and SETITEMS set."""

    @property
    def dotted(self) -> str:
        """Dotted name of what is called, empty where it is not a plain global."""
        return self.function.dotted if isinstance(self.function, Global) else ""

    def argument(self, index: int) -> Record:
        """One positional argument, None where there are fewer."""
        arguments = self.arguments
        return arguments[index] if isinstance(arguments, tuple) and index < len(arguments) else None


class Dict(list[Record]):
    """A dictionary as its keys and values in turn; keys may repeat and need not be hashable."""

    __slots__ = ()

    def entries(self) -> Iterator[tuple[Record, Record]]:
        """(key, value), in order, repeated keys included."""
        return zip(self[::2], self[1::2], strict=False)


class Set(list[Record]):
    """A set or a frozenset as its items."""

    __slots__ = ()


class Persistent:
    """An object that lies outside the pickle, such as a tensor's storage."""

    __slots__ = ("identity", "offset")

    def __init__(self, identity: Record, offset: int) -> None:
        self.identity = identity
        self.offset = offset


class Blob:
    """A string too long to be kept: where it lies, and how it begins."""

    __slots__ = ("head", "length", "offset", "text")

    def __init__(self, offset: int, length: int, head: bytes, *, text: bool) -> None:
        self.offset = offset
        """Of the first byte in the pickle's range."""
        self.length = length
        self.head = head
        self.text = text


class Opaque:
    """A value that is not in the pickle, such as an out-of-band buffer."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what
