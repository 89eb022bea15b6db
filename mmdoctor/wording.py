"""Numbers in sentences."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 tensor`, `2 tensors`, `1,234 entries`: a number with its noun in the right form."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
