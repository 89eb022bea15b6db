"""A pickle virtual machine of protocols 0 to 5 that executes nothing: what it yields are inert records."""

import codecs
import struct
from collections.abc import Callable

from mmdoctor.readers.byte_range import EndOfBytes
from mmdoctor.readers.pickle_records import Dict, Opaque, Record, Set
from mmdoctor.readers.pickle_stack import MAX_INTEGER, MAX_STRING, MAX_WORK, PickleStack

_STOP = ord(".")


class PickleMachine(PickleStack):
    """One pickle, walked from its first opcode to STOP."""

    def run(self) -> Record:
        """The record of what the pickle yields.

        Raises:
            PickleFaultError: broken, or past a limit; `globals` has what came before.
        """
        try:
            return self._walk()
        except EndOfBytes:
            raise self.broken("the bytes end before STOP") from None
        except IndexError:
            raise self.broken("an opcode takes more than the stack has") from None
        except KeyError as missing:
            raise self.broken(f"memo entry {missing.args[0]} is read and was never written") from None
        except (ValueError, struct.error) as error:
            raise self.broken(f"an argument cannot be read: {str(error)[:100]}") from None

    def _walk(self) -> Record:
        stream = self.stream
        opcodes = self.opcodes
        while True:
            index = stream.index
            if index >= len(stream.window):
                stream.refill()
                index = 0
            code = stream.window[index]
            stream.index = index + 1
            self.offset = stream.position - 1
            if code == _STOP:
                return self.stack.pop()
            self.work -= 1
            if self.work < 0:
                raise self.too_complex(f"more than {MAX_WORK:,} steps")
            opcodes[code] = 1
            handler = HANDLERS[code]
            if handler is None:
                raise self.broken(f"{bytes([code])!r} is no pickle opcode")
            handler(self)


Handler = Callable[[PickleStack], None]


def _container(make: Callable[[PickleStack], Record]) -> Handler:
    """An opcode that makes a container: it counts twice, since memory is what it takes."""

    def handler(machine: PickleStack) -> None:
        machine.work -= 1
        machine.stack.append(make(machine))

    return handler


def _constant(value: Record) -> Handler:
    return lambda machine: machine.stack.append(value)


def _unsigned(count: int) -> Handler:
    return lambda machine: machine.stack.append(int.from_bytes(machine.stream.take(count), "little"))


def _string(count: int, *, text: bool) -> Handler:
    """A string whose length stands before it in `count` bytes."""
    return lambda machine: machine.stack.append(machine.string(machine.number(count), text=text))


def _old_string(count: int) -> Handler:
    """A string of Python 2: text where it is ASCII, else bytes."""

    def handler(machine: PickleStack) -> None:
        value = machine.string(machine.number(count), text=False)
        machine.stack.append(value.decode("ascii") if isinstance(value, bytes) and value.isascii() else value)

    return handler


def _quoted(machine: PickleStack) -> None:
    line = machine.line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise machine.broken("a quoted string without its quotes")
    value = codecs.escape_decode(line[1:-1])[0]
    machine.maybe_nested(value)
    machine.stack.append(value.decode("ascii") if value.isascii() else value)


def _integer(machine: PickleStack) -> None:
    line = machine.line()
    machine.stack.append(line == b"01" if line in (b"00", b"01") else _decimal(machine, line))


def _decimal(machine: PickleStack, line: bytes) -> int:
    if len(line) > MAX_INTEGER:
        raise machine.too_complex(f"an integer of {len(line):,} digits")
    return int(line.removesuffix(b"L"), 0)


def _long(count: int) -> Handler:
    def handler(machine: PickleStack) -> None:
        size = machine.number(count)
        if size > MAX_INTEGER:
            machine.stream.skip(size)
            machine.stack.append(Opaque(f"integer of {size:,} bytes"))
        else:
            machine.stack.append(int.from_bytes(machine.stream.take(size), "little", signed=True))

    return handler


def _tuple(count: int) -> Handler:
    def handler(machine: PickleStack) -> None:
        if len(machine.stack) < count:
            raise IndexError
        machine.work -= 1
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return handler


def _marked(make: Callable[[list[Record]], Record]) -> Handler:
    """A container of everything above the mark."""

    def handler(machine: PickleStack) -> None:
        machine.work -= 1
        items = machine.pop_mark()
        machine.stack.append(make(items))

    return handler


def _marked_dict(machine: PickleStack) -> None:
    items = machine.pop_mark()
    machine.stack.append(Dict())
    machine.update(items)


def _set_item(machine: PickleStack) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.update([key, value])


def _global(machine: PickleStack) -> None:
    module, name = machine.line(), machine.line()
    if max(len(module), len(name)) > MAX_STRING:
        raise machine.too_complex(f"a name of {max(len(module), len(name)):,} bytes")
    machine.find(module.decode(), name.decode())


def _stack_global(machine: PickleStack) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.find(module, name)


def _extension(count: int) -> Handler:
    def handler(machine: PickleStack) -> None:
        machine.find("copyreg", f"extension {machine.number(count)}")

    return handler


def _inst(machine: PickleStack) -> None:
    _global(machine)
    function = machine.stack.pop()
    machine.call(function, tuple(machine.pop_mark()))


def _obj(machine: PickleStack) -> None:
    items = machine.pop_mark()
    machine.call(items[0], tuple(items[1:]))


def _reduce(machine: PickleStack) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.call(function, arguments)


def _new_object(machine: PickleStack) -> None:
    arguments, cls = machine.stack.pop(), machine.stack.pop()
    machine.call(cls, arguments, new=True)


def _new_object_with_keywords(machine: PickleStack) -> None:
    machine.stack.pop()
    _new_object(machine)


HANDLERS: list[Handler | None] = [None] * 256

# Opcode bytes and their meaning: CPython Lib/pickle.py, "Pickle opcodes"; the arguments: Lib/pickletools.py.
_BY_CODE: dict[bytes, Handler] = {
    b"(": lambda m: m.mark(),
    b"0": lambda m: m.pop(),
    b"1": lambda m: (m.pop_mark(), None)[1],
    b"2": lambda m: m.stack.append(m.stack[-1]),
    b"F": lambda m: m.stack.append(float(m.line())),
    b"I": _integer,
    b"J": lambda m: m.stack.append(int.from_bytes(m.stream.take(4), "little", signed=True)),
    b"K": _unsigned(1),
    b"L": lambda m: m.stack.append(_decimal(m, m.line())),
    b"M": _unsigned(2),
    b"N": _constant(None),
    b"P": lambda m: m.outside(m.line().decode("ascii")),
    b"Q": lambda m: m.outside(m.stack.pop()),
    b"R": _reduce,
    b"S": _quoted,
    b"T": _old_string(4),
    b"U": _old_string(1),
    b"V": lambda m: m.stack.append(m.line().decode("raw-unicode-escape")),
    b"X": _string(4, text=True),
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"b": lambda m: m.build(),
    b"c": _global,
    b"d": _marked_dict,
    b"}": _container(lambda _: Dict()),
    b"e": lambda m: m.extend(m.pop_mark()),
    b"g": lambda m: m.get(_decimal(m, m.line())),
    b"h": lambda m: m.get(m.number(1)),
    b"i": _inst,
    b"j": lambda m: m.get(m.number(4)),
    b"l": _marked(lambda items: items),
    b"]": _container(lambda _: []),
    b"o": _obj,
    b"p": lambda m: m.put(_decimal(m, m.line())),
    b"q": lambda m: m.put(m.number(1)),
    b"r": lambda m: m.put(m.number(4)),
    b"s": _set_item,
    b"t": _marked(tuple),
    b")": _constant(()),
    b"u": lambda m: m.update(m.pop_mark()),
    b"G": lambda m: m.stack.append(struct.unpack(">d", m.stream.take(8))[0]),
    b"\x80": lambda m: m.protocol(),
    b"\x81": _new_object,
    b"\x82": _extension(1),
    b"\x83": _extension(2),
    b"\x84": _extension(4),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"\x8a": _long(1),
    b"\x8b": _long(4),
    b"B": _string(4, text=False),
    b"C": _string(1, text=False),
    b"\x8c": _string(1, text=True),
    b"\x8d": _string(8, text=True),
    b"\x8e": _string(8, text=False),
    b"\x8f": _container(lambda _: Set()),
    b"\x90": lambda m: m.extend(m.pop_mark()),
    b"\x91": _marked(Set),
    b"\x92": _new_object_with_keywords,
    b"\x93": _stack_global,
    b"\x94": lambda m: m.memoize(),
    b"\x95": lambda m: m.frame(),
    b"\x96": _string(8, text=False),
    b"\x97": _constant(Opaque("out-of-band buffer")),
    b"\x98": lambda _: None,
}
for _code, _handler in _BY_CODE.items():
    HANDLERS[_code[0]] = _handler
