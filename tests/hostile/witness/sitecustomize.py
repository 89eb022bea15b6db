"""Imported by Python before mmdoctor is: writes down what the process opens, starts and connects to."""

import os
import sys

_WATCHED = frozenset(
    {"open", "os.listdir", "os.scandir", "os.exec", "os.fork", "os.posix_spawn", "os.system", "subprocess.Popen"}
    | {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "pickle.find_class", "code.__new__"}
    | {"os.remove", "os.rename", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}
)
_LOG = os.open(os.environ["MMDOCTOR_WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _witness(event: str, arguments: tuple[object, ...]) -> None:
    if event in _WATCHED:
        what = arguments[0] if arguments else ""
        text = os.fsencode(what) if isinstance(what, str | bytes | os.PathLike) else repr(what).encode()
        os.write(_LOG, event.encode() + b" " + text + b"\0")


sys.addaudithook(_witness)
