"""The state of the pickle machine and what its opcodes do to it: globals, calls and states become inert records.

The behaviour follows CPython's Lib/pickle.py, class _Unpickler; what would import or call something only notes it.
"""

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable

from mmdoctor.facts.checkpoint import DamageKind
from mmdoctor.readers.byte_range import ByteStream, EndOfBytes
from mmdoctor.readers.pickle_records import Blob, Call, Dict, Global, Persistent, PickleFaultError, Record

MAX_WORK = 4_000_000
"""Opcodes plus containers made. A checkpoint of 20,000 tensors takes about 1,000,000; 4,000,000 take about four seconds
and at most 400 MB."""
MAX_MEMO_INDEX = 1 << 26
"""Largest index of PUT. Picklers count from 0; CPython's unpickler allocates an array of this many pointers."""
MAX_STACK = 2_000_000
"""Values on the stack at a time; picklers put a list of any length there in batches of 1000, torch's C++ does not."""
MAX_STRING = 1 << 16
"""Bytes of a string that is kept; longer ones become a `Blob`. Names of tensors are shorter."""
MAX_TEXT = 48 << 20
"""Bytes of all strings that are kept; a vocabulary of 250,000 tokens takes 3 MB."""
MAX_LINE = 1 << 20
"""Bytes of an argument that ends with a line feed (protocol 0)."""
MAX_INTEGER = 1 << 12
"""Bytes of an integer; reading more takes quadratic time in protocol 0."""
MAX_NESTED = 256
"""Strings kept as candidates for a pickle within the pickle."""
MAX_LOADS = 20_000
"""Storages within a pickle that are looked into."""
HIGHEST_PROTOCOL = 5

_NESTED_START = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


class PickleStack:
    """Stack, marks and memo of one pickle.

    Args:
        stream: bytes, at the first opcode; stands behind STOP afterwards.
        work: what is left of `MAX_WORK` for this file.
    """

    def __init__(self, stream: ByteStream, work: int = MAX_WORK) -> None:
        self.stream = stream
        self.start = stream.position
        self.globals: list[Global] = []
        """Every global opcode met, in order, also before a fault."""
        self.persistent: list[Persistent] = []
        self.nested: list[bytes | Blob] = []
        """Byte strings that begin like a pickle or a zip archive."""
        self.loads: list[Call] = []
        """Calls of `torch.storage._load_from_bytes`: storages in a pickle that torch.save did not write."""
        self.opcodes = bytearray(256)
        """1 where an opcode was met."""
        self.work = work
        self.after_build: Callable[[Call, ByteStream], None] | None = None
        """Called after BUILD: joblib puts raw array bytes there."""
        self.offset = self.start
        """Offset of the opcode at hand within the range."""
        self.stack: list[Record] = []
        self._marks: list[list[Record]] = []
        self._memo: dict[int, Record] = {}
        self._text = MAX_TEXT

    def broken(self, message: str) -> PickleFaultError:
        """The fault of a pickle that no unpickler takes."""
        return PickleFaultError(DamageKind.PICKLE_BROKEN, message, self.offset)

    def too_complex(self, message: str) -> PickleFaultError:
        """The fault of a pickle that exceeds a limit."""
        return PickleFaultError(DamageKind.PICKLE_TOO_COMPLEX, message, self.offset)

    # Arguments

    def number(self, count: int) -> int:
        """An unsigned little-endian integer of that many bytes."""
        return int.from_bytes(self.stream.take(count), "little")

    def line(self) -> bytes:
        """An argument that ends with a line feed."""
        line = self.stream.line(MAX_LINE)
        if line is None:
            raise self.too_complex(f"an argument of more than {MAX_LINE:,} bytes without a line feed")
        return line

    def string(self, count: int, *, text: bool) -> Record:
        """A string of that many bytes, or a `Blob` where it is too long to be kept."""
        if count > MAX_STRING or count > self._text:
            at = self.stream.position
            blob = Blob(at, count, b"" if at + count > self.stream.source.size else self.stream.take(16), text=text)
            self.stream.skip(count - len(blob.head))
            if not text and blob.head.startswith(_NESTED_START) and len(self.nested) < MAX_NESTED:
                self.nested.append(blob)
            return blob
        self._text -= count
        data = self.stream.take(count)
        if text:
            return data.decode("utf-8", "surrogatepass")
        self.maybe_nested(data)
        return data

    def maybe_nested(self, data: bytes) -> None:
        """Keep a byte string that may be a pickle of its own."""
        if data.startswith(_NESTED_START) and len(data) > 3 and len(self.nested) < MAX_NESTED:
            self.nested.append(data)

    # The stack

    def mark(self) -> None:
        """Set a mark on the stack."""
        self.work -= 1
        self._marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Record]:
        """Everything above the last mark, which goes too."""
        items = self.stack
        if len(items) > MAX_STACK:
            raise self.too_complex(f"more than {MAX_STACK:,} values on the stack")
        self.stack = self._marks.pop()
        return items

    def pop(self) -> None:
        """Drop the top of the stack, be it a mark."""
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def put(self, index: int) -> None:
        """Remember the top of the stack."""
        if not 0 <= index <= MAX_MEMO_INDEX:
            size = 8 * index / 2**30
            raise self.too_complex(f"PUT at memo index {index:,}: CPython would allocate {size:,.1f} GiB for it")
        self._memo[index] = self.stack[-1]

    def memoize(self) -> None:
        """Remember the top of the stack at the next free index."""
        self._memo[len(self._memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        """Push what was remembered."""
        self.stack.append(self._memo[index])

    # Names and calls

    def find(self, module: Record, name: Record) -> None:
        """Push a global, by its Python 3 name."""
        if isinstance(module, str) and isinstance(name, str):
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[(module, name)]
            elif module in IMPORT_MAPPING:
                module = IMPORT_MAPPING[module]
            found = Global(module, name, self.offset)
        else:
            found = Global("<computed>", "<computed>", self.offset)
            found.called = True
        self.globals.append(found)
        self.stack.append(found)

    def call(self, function: Record, arguments: Record, *, new: bool = False) -> None:
        """Push the record of a call."""
        call = Call(function, arguments, self.offset, new=new)
        if isinstance(function, Global):
            if function.module == "builtins" and function.name == "getattr":
                self.stack.append(self._attribute(function, call))
                return
            followed = function.name == "_load_from_bytes" and isinstance(call.argument(0), bytes | Blob)
            if followed and len(self.loads) < MAX_LOADS:
                self.loads.append(call)
            else:
                function.called = True
            if function.name == "encode" and function.module == "_codecs":
                text = call.argument(0)
                if isinstance(text, str) and text.startswith("\x80"):
                    self.maybe_nested(text.encode("latin-1", "replace"))
        elif isinstance(function, Call) and isinstance(function.function, Global):
            function.function.called = True  # the result of a call is called: the first call chose what
        self.stack.append(call)

    def _attribute(self, getattr_: Global, call: Call) -> Record:
        """What getattr of constants gives: the dotted name; anything else stays a call of getattr."""
        owner, name = call.argument(0), call.argument(1)
        if isinstance(owner, Global) and isinstance(name, str):
            found = Global(owner.module, f"{owner.name}.{name}", self.offset)
            self.globals.append(found)
            return found
        if not isinstance(name, str) or not isinstance(owner, Call):
            getattr_.called = True
        return call

    def build(self) -> None:
        """Give the top of the stack a state."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Call):
            target.state = state
            if self.after_build is not None:
                self.after_build(target, self.stream)
        elif isinstance(target, Global):
            target.called = True

    def extend(self, items: list[Record]) -> None:
        """Append values to the list, set or object on top of the stack."""
        target = self.stack[-1]
        if isinstance(target, Call):
            if target.items is None:
                target.items = []
            target.items.extend(items)
        elif isinstance(target, list) and not isinstance(target, Dict):
            target.extend(items)

    def update(self, pairs: list[Record]) -> None:
        """Set keys and values, given in turn, of the dictionary or object on top of the stack."""
        target = self.stack[-1]
        if len(pairs) % 2:
            raise self.broken("a key without a value")
        if isinstance(target, Call):
            if target.pairs is None:
                target.pairs = Dict()
            target.pairs.extend(pairs)
        elif isinstance(target, Dict):
            target.extend(pairs)

    def outside(self, identity: Record) -> None:
        """Push an object that lies outside the pickle; legacy torch wraps the classes of modules so."""
        if isinstance(identity, tuple) and len(identity) > 1 and identity[0] == "module":
            self.stack.append(identity[1])
            return
        record = Persistent(identity, self.offset)
        self.persistent.append(record)
        self.stack.append(record)

    def protocol(self) -> None:
        """Check the protocol number."""
        number = self.number(1)
        if number > HIGHEST_PROTOCOL:
            raise self.broken(f"protocol {number} is newer than {HIGHEST_PROTOCOL}")

    def frame(self) -> None:
        """Check that a frame lies within the bytes."""
        size = self.number(8)
        if self.stream.position + size > self.stream.source.size:
            raise EndOfBytes
