"""Names that do not belong into a public issue: the home folder, the user, the host."""

import re
from collections.abc import Sequence

_COMMON = frozenset(
    {"root", "user", "users", "ubuntu", "admin", "administrator", "runner", "docker", "nobody", "debian", "ec2-user"}
    | {"jovyan", "vscode", "app", "home", "localhost", "host", "server", "worker", "node", "main", "model", "test"}
)
"""Names of nobody in particular; taking them out would only garble words."""

_HOMES = re.compile(
    r"(?<![\w.~])(?:/home/|/Users/|/export/home/|/mnt/home/|[A-Za-z]:[\\/]Users[\\/])[^/\\\s:'\"`,;()<>|]+|(?<![\w./~])/root(?![\w.-])"
)


class Private:
    """Takes private names out of text.

    Args:
        homes: home folders; each becomes `~`. Homes of other users and machines are known by their usual parents.
        users: user names; each becomes `<user>`.
        hosts: host names; each becomes `<host>`.
    """

    def __init__(self, homes: Sequence[str] = (), users: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        paths = [home.rstrip("/\\") for home in homes]
        self._homes = [
            re.compile(f"{re.escape(p)}(?![\\w.-])") for p in sorted(paths, key=len, reverse=True) if len(p) > 1
        ]
        self._names = [(_word(n), "<user>") for n in users if _personal(n)]
        self._names += [(_word(n), "<host>") for n in sorted(hosts, key=len, reverse=True) if _personal(n)]

    @classmethod
    def here(cls) -> "Private":
        """The names of this machine and of who is logged in."""
        import getpass
        import socket
        from pathlib import Path

        try:
            home, user = str(Path.home()), getpass.getuser()
        except (RuntimeError, KeyError, OSError, ImportError):  # no entry in the password database, as in containers
            home, user = "", ""
        host = socket.gethostname()
        return cls([home], [user, Path(home).name], [host, host.partition(".")[0]])

    def hide(self, text: str) -> str:
        """The text without the names."""
        for home in self._homes:
            text = home.sub("~", text)
        text = _HOMES.sub("~", text)
        for name, instead in self._names:
            text = name.sub(instead, text)
        return text


def _personal(name: str) -> bool:
    return len(name) > 2 and name.casefold() not in _COMMON


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", re.IGNORECASE)
