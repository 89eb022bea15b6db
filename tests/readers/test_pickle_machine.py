"""The pickle machine follows CPython's: what pickle.dumps wrote comes back as inert records."""

import collections
import contextlib
import datetime as dt
import enum
import pickle  # noqa: TID251 - writes what the machine reads
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.facts.checkpoint import DamageKind
from mmdoctor.readers.byte_range import ByteStream, MemoryRange
from mmdoctor.readers.pickle_machine import HANDLERS, PickleMachine
from mmdoctor.readers.pickle_records import Blob, Call, Dict, Global, PickleFaultError, Set

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner),
        st.tuples(inner, inner, inner),
        st.lists(inner, max_size=6).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
        st.dictionaries(st.integers(), inner, max_size=4),
    ),
    max_leaves=20,
)


def run(data: bytes) -> tuple[Any, PickleMachine]:
    """Walk a pickle."""
    machine = PickleMachine(ByteStream(MemoryRange(data)))
    return machine.run(), machine


def plain(record: Any) -> Any:
    """The value that a record without calls stands for."""
    if isinstance(record, Dict):
        return {plain(k): plain(v) for k, v in record.entries()}
    if isinstance(record, Set):
        return {plain(v) for v in record}
    if isinstance(record, list):
        return [plain(v) for v in record]
    if isinstance(record, tuple):
        return tuple(plain(v) for v in record)
    if isinstance(record, Call):
        if record.dotted == "_codecs.encode":  # bytes in protocols 0 to 2
            return record.argument(0).encode(record.argument(1))
        assert record.dotted == "builtins.bytes"
        return b""
    return record


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(0, 5))
def test_plain_values_come_back(value: Any, protocol: int):
    record, machine = run(pickle.dumps(value, protocol))

    assert plain(record) == value
    assert machine.stream.position == len(pickle.dumps(value, protocol))


def test_every_opcode_of_cpython_is_known():
    import pickletools

    known = {code for code in range(256) if HANDLERS[code] is not None}
    assert {ord(op.code) for op in pickletools.opcodes} - known == {ord(".")}


class Kind(enum.Enum):
    A = 1


class Thing:
    def __init__(self) -> None:
        self.a = 1
        self.b = [2]


class Slotted:
    __slots__ = ("a",)

    def __init__(self) -> None:
        self.a = 1


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        *(Thing(), Kind.A, collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), dt.datetime(2020, 1, 1)),
        *({1, 2}, frozenset({3}), collections.deque([1]), 1 + 2j, bytearray(b"x"), range(3)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_objects_become_calls_and_nothing_is_made(value: Any, protocol: int):
    record, machine = run(pickle.dumps(value, protocol))

    assert isinstance(record, Call | Set | Global | bytes | bytearray)
    names = {g.dotted for g in machine.globals}
    assert all("." in n for n in names)


@pytest.mark.parametrize("protocol", range(6))
def test_states_and_slots(protocol: int):
    from mmdoctor.readers.pickle_tree import attributes

    record, _ = run(pickle.dumps(Thing(), protocol))
    assert attributes(record).keys() == {"a", "b"}
    if protocol >= 2:
        record, _ = run(pickle.dumps(Slotted(), protocol))
        assert attributes(record) == {"a": 1}


def test_shared_and_recursive_values_stay_shared():
    value: list[Any] = [1]
    value.append(value)
    record, _ = run(pickle.dumps({"a": value, "b": value}, 4))
    values = dict(record.entries())

    assert values["a"] is values["b"]
    assert values["a"][1] is values["a"]


def test_python_2_names_are_mapped():
    _, machine = run(b"c__builtin__\nset\n((ltR.")

    assert [g.dotted for g in machine.globals] == ["builtins.set"]


def test_long_strings_are_not_kept():
    record, _ = run(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 20) + bytes(1 << 20) + b".")

    assert isinstance(record, Blob)
    assert (record.offset, record.length) == (11, 1 << 20)


def test_extensions_and_computed_names_are_globals():
    _, machine = run(b"\x80\x02\x82\x05.")
    assert machine.globals[0].dotted == "copyreg.extension 5"
    _, machine = run(b"\x80\x04NN\x93.")
    assert machine.globals[0].dotted == "<computed>.<computed>"


def test_getattr_of_constants_is_resolved():
    _, machine = run(
        b"\x80\x02cbuiltins\ngetattr\nproj\nX\x01\x00\x00\x00A\x86R.".replace(b"proj", b"cproj.kinds\nKind")
    )

    assert [(g.dotted, g.called) for g in machine.globals] == [
        ("builtins.getattr", False),
        ("proj.kinds.Kind", False),
        ("proj.kinds.Kind.A", False),
    ]


@pytest.mark.parametrize(
    ("data", "offset", "words"),
    [
        (b"", 0, "end before STOP"),
        (b"\x80\x02K", 2, "end before STOP"),
        (b"\x80\x02h\x07.", 2, "memo entry 7"),
        (b"\x80\x02a.", 2, "more than the stack has"),
        (b"\x80\x09.", 0, "protocol 9"),
        (b"\x80\x02\xff.", 2, "no pickle opcode"),
        (b"I12x\n.", 0, "cannot be read"),
        (b"\x80\x02(K\x01u.", 4, ""),
    ],
)
def test_faults_have_offsets(data: bytes, offset: int, words: str):
    with pytest.raises(PickleFaultError) as caught:
        run(data)

    assert caught.value.kind is DamageKind.PICKLE_BROKEN
    assert words in caught.value.message
    assert caught.value.offset in (offset, offset + 1)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(0, 5), st.data())
def test_mutated_pickles_fault_or_yield(value: Any, protocol: int, data: st.DataObject):
    mutated = bytearray(pickle.dumps(value, protocol))
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    machine = PickleMachine(ByteStream(MemoryRange(bytes(mutated))))
    with contextlib.suppress(PickleFaultError):
        machine.run()

    assert 0 <= machine.offset <= len(mutated)
