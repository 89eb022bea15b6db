"""How far a slow provider has come. Asked for by type, like a fact: `progress: Progress | None = None`."""


class Progress:
    """Told by providers that take long; this one keeps quiet, the command line's draws a bar."""

    def start(self, what: str, total: int = 0, *, unit: str = "bytes") -> None:
        """Begin something slow.

        Args:
            what: what is being done, such as `reading model.safetensors`.
            total: bytes or steps in all; 0 when not known.
            unit: `bytes`, which are shown with their rate, or `steps`, of which the share is shown.
        """

    def step(self, what: str) -> None:
        """What is being done now, where something slow has several parts; what was counted stays."""

    def advance(self, amount: int) -> None:
        """Count bytes that have been read, or steps that were taken, since the last call."""
