"""What a pickle would import and call, told from its opcodes without executing one."""

import msgspec


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
    """What the first pickle yields: `dict`, `list`, `tensor`, `instance`, ... of an instance the class is in `root_class`."""
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
