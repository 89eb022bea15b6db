"""What a pickle would import and call, told from its opcodes without executing one."""

import msgspec

from mmdoctor.facts.source import FileKind


class PickleGlobal(msgspec.Struct, frozen=True, kw_only=True):
    """A name that unpickling imports."""

    module: str
    name: str
    """Attribute of the module, dotted for nested ones."""
    member: str = ""
    """Archive member of the pickle, empty for a bare pickle."""
    offset: int = 0
    """Byte offset of the opcode in that pickle."""
    called: bool = False
    """Whether the result is also called (REDUCE, NEWOBJ, BUILD ...), as far as the opcodes tell."""

    @property
    def dotted(self) -> str:
        """`module.name`."""
        return f"{self.module}.{self.name}"


class PickleProgram(msgspec.Struct, frozen=True, kw_only=True):
    """All pickles of one file."""

    file: str
    globals: tuple[PickleGlobal, ...] = ()
    """In order of appearance, each (module, name, member) once."""
    root: str = "unknown"
    """What the main pickle yields: `dict`, `list`, `tensor`, `instance` (its class is in `root_class`), `int` ..."""
    root_class: str | None = None
    """Dotted class of the root where it is an instance of something that has to be importable."""
    top_level: tuple[tuple[str, str], ...] = ()
    """(key, what stands there) of a root dictionary: `("epoch", "int")`, `("state_dict", "dict of 314 tensors")`."""
    devices: tuple[str, ...] = ()
    """Devices that storages were saved from, such as `cpu`, `cuda:0`."""
    pickles: int = 1
    """Pickle streams found in the file."""
    incomplete: str | None = None
    """Why the walk stopped early: broken opcode, limit; None when every opcode was seen."""
    kind: FileKind = FileKind.PICKLE
    """What the file is; the pickles of a TorchScript archive are read by torch's C++, which imports nothing."""
    main: str = ""
    """Archive member that `torch.load` unpickles; the others are left alone by it."""
    opcodes: tuple[int, ...] = ()
    """Opcode bytes that the main pickle uses."""
    hidden: tuple[str, ...] = ()
    """What other tools may overlook: members that the archive's directory does not list, headers that disagree."""

    def loaded(self) -> tuple[PickleGlobal, ...]:
        """The globals of the pickle that `torch.load` unpickles."""
        return tuple(g for g in self.globals if g.member == self.main)


class Unscanned(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may hold a pickle and was not walked to its end."""

    file: str
    why: str
    """A clause: `a 7z archive`, `the pickle breaks off at byte 120`."""
    damaged: bool = False
    """Whether the file is damaged weights, which is a finding of its own."""


class Pickles(msgspec.Struct, frozen=True, kw_only=True):
    """Every pickle of the artefact: weights, optimizer states, training arguments, object arrays, nested ones."""

    programs: tuple[PickleProgram, ...]
    """One for each file that holds a pickle, by path."""
    unscanned: tuple[Unscanned, ...] = ()
    """Files of which nothing can be said."""
