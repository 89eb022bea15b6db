"""What a template's expressions are made of, and what they may cost."""

from collections.abc import Iterator, Mapping
from typing import Any

STEPS = 200_000
"""Nodes evaluated and elements visited for one conversation; the longest published templates take some 2000."""
LONGEST = 1 << 20
"""Characters of a text and elements of a list."""
CHARACTERS = 256
"""Characters that count as one step."""
LARGEST = 1 << 63
"""Numbers beyond are not followed."""


class TemplateFailed(Exception):  # noqa: N818 - what the template does, not what we do
    """The library would raise as well; the text says what."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


class TooMuch(Exception):  # noqa: N818 - likewise
    """The template takes more steps or memory than any real one."""


class Unsupported(Exception):  # noqa: N818 - an answer: nothing can be said
    """The template uses something that is not rendered here; the text names it."""


class Budget:
    """Steps that are left."""

    def __init__(self, steps: int = STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps off.

        Raises:
            TooMuch: there are no more.
        """
        self.left -= steps
        if self.left < 0:
            raise TooMuch(f"more than {STEPS} steps for one message")

    def size(self, length: int) -> None:
        """Pay for a text or list of that length before it is made."""
        if length > LONGEST:
            raise TooMuch(f"a text of {length} characters" if length < LARGEST else "a text without end")
        self.spend(1 + length // CHARACTERS)

    def text(self, value: str) -> str:
        """Pay for a text that was made."""
        self.size(len(value))
        return value

    def visit(self, value: object) -> None:
        """Pay for every element below a value, as often as it is reached."""
        waiting = [value]
        while waiting:
            self.spend()
            item = waiting.pop()
            if isinstance(item, str):
                self.size(len(item))
            elif isinstance(item, Mapping):
                waiting.extend(item)
                waiting.extend(item.values())
            elif isinstance(item, (list, tuple)):
                waiting.extend(item)


class Undefined:
    """A name or an element that is not there: empty, false, and an error to look into."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return ""

    def __repr__(self) -> str:
        return "Undefined"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Undefined)

    def __hash__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def fail(self) -> TemplateFailed:
        """What the library raises where it is looked into."""
        return TemplateFailed(f"{self.name} is undefined")


class Namespace:
    """`namespace(...)`: variables that loops can change."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = dict(variables)


class Method:
    """A method of a text, list or dictionary, before it is called."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.name = name


class Loop:
    """`loop` inside a loop."""

    def __init__(self, items: list[Any], index: int, depth: int) -> None:
        self.items = items
        self.index = index
        self.depth = depth

    def attribute(self, name: str) -> Any:
        """One of its attributes, or Undefined."""
        index, length = self.index, len(self.items)
        values = {
            "index": index + 1,
            "index0": index,
            "first": index == 0,
            "last": index == length - 1,
            "length": length,
            "revindex": length - index,
            "revindex0": length - index - 1,
            "depth": self.depth,
            "depth0": self.depth - 1,
        }
        if name in ("previtem", "nextitem"):
            place = index + (1 if name == "nextitem" else -1)
            return self.items[place] if 0 <= place < length else Undefined(name)
        if name in ("cycle", "changed"):
            return Method(self, name)
        return values.get(name, Undefined(f"loop.{name}"))


def checked(number: Any) -> Any:
    """A number that is small enough to go on with."""
    if isinstance(number, int) and not -LARGEST < number < LARGEST:
        raise Unsupported("numbers of more than 63 bits")
    return number


def same(budget: Budget, left: object, right: object) -> bool:
    """Whether two values are equal, at a price."""
    budget.size(len(left) if isinstance(left, str) else 0)
    if isinstance(left, (list, tuple, Mapping)) and isinstance(right, (list, tuple, Mapping)):
        budget.visit(left)
        budget.visit(right)
    return bool(left == right)


def shown(budget: Budget, value: object) -> str:
    """What `{{ value }}` writes."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, Mapping)):
        budget.visit(value)
    elif not isinstance(value, (int, float, Undefined)) and value is not None:
        raise Unsupported(f"writing out a {type(value).__name__}")
    return budget.text(str(value))
