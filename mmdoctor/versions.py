"""Comparing versions of libraries."""


def older(version: str | None, than: str) -> bool:
    """Whether a version is known, is one, and comes before another."""
    if not version:
        return False
    from packaging.version import InvalidVersion, Version  # three milliseconds that most runs do not need

    try:
        return Version(version) < Version(than)
    except InvalidVersion:
        return False
