"""How far a slow provider has come. Asked for by type, like a fact: `progress: Progress | None = None`."""


class Progress:
    """Told by providers that take long; this one keeps quiet, the command line's draws a bar."""

    def start(self, what: str, total: int = 0) -> None:
        """Begin something slow.

        Args:
            what: what is being done, such as `reading model.safetensors`.
            total: bytes in all; 0 when not known or not a matter of bytes.
        """

    def advance(self, nbytes: int) -> None:
        """Count bytes that have been read since the last call."""
