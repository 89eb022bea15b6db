"""What a Python file imports and what it is able to do, from its syntax tree: the text is parsed and never compiled."""

import ast
import sys
import warnings
from collections.abc import Iterator, Mapping

from mmdoctor.facts.remote_code import CodeAct, CodeCall, CodeFile

MAX_BYTES = 512 * 2**10
"""Longest file that is parsed, twice the longest modelling file of transformers; a tree takes 300 times its text."""
MAX_MARKS = 100_000
"""Line ends, commas, dots, operators and brackets of a file, which bound its tree; transformers' largest has 16,000."""
MAX_CALLS = 200
"""Calls kept of one file."""


def _names(act: CodeAct, text: str) -> dict[str, CodeAct]:
    return dict.fromkeys(text.split(), act)


_MODULES: Mapping[str, CodeAct] = {
    **_names(CodeAct.EXECUTE, "subprocess pty runpy code codeop commands popen2 ctypes cffi _posixsubprocess"),
    **_names(CodeAct.NETWORK, "socket requests urllib3 httpx aiohttp ftplib smtplib telnetlib paramiko websockets"),
    **_names(CodeAct.NETWORK, "xmlrpc socketserver pycurl"),
    **_names(CodeAct.UNPICKLE, "pickle _pickle cPickle dill cloudpickle marshal shelve"),
}
"""Modules of which every name does this."""

_FUNCTIONS: Mapping[str, CodeAct] = {
    **_names(CodeAct.EXECUTE, "eval exec builtins.eval builtins.exec builtins.compile os.system os.popen os.startfile"),
    **_names(CodeAct.EXECUTE, "os.posix_spawn os.posix_spawnp os.fork pdb.set_trace webbrowser.open"),
    **{f"os.{kind}{end}": CodeAct.EXECUTE for kind in ("exec", "spawn") for end in ("l", "le", "lp", "v", "ve", "vp")},
    **_names(CodeAct.NETWORK, "urllib.request.urlopen urllib.request.urlretrieve urllib.request.Request"),
    **_names(CodeAct.NETWORK, "http.client.HTTPConnection http.client.HTTPSConnection torch.hub.load"),
    **_names(CodeAct.NETWORK, "torch.hub.load_state_dict_from_url torch.hub.download_url_to_file"),
    **_names(CodeAct.NETWORK, "huggingface_hub.hf_hub_download huggingface_hub.snapshot_download"),
    **_names(CodeAct.FILES, "os.remove os.unlink os.rmdir os.removedirs os.rename os.replace os.chmod os.chown"),
    **_names(CodeAct.FILES, "shutil.rmtree shutil.move shutil.copyfile shutil.copy shutil.copytree"),
    **_names(CodeAct.UNPICKLE, "torch.load joblib.load numpy.load pandas.read_pickle"),
    **_names(CodeAct.DECODE, "base64.b64decode base64.b85decode base64.decodebytes base64.urlsafe_b64decode"),
    **_names(CodeAct.DECODE, "zlib.decompress lzma.decompress bz2.decompress bytes.fromhex codecs.decode"),
    **_names(CodeAct.IMPORT, "__import__ builtins.__import__ importlib.import_module importlib.__import__"),
    **_names(CodeAct.IMPORT, "importlib.util.spec_from_file_location importlib.machinery.SourceFileLoader"),
}
_BUILTINS = frozenset({"eval", "exec", "__import__"})


def digest(path: str, data: bytes) -> CodeFile:
    """The imports and the telling calls of a file.

    Args:
        path: relative to the artefact.
        data: its bytes.
    """
    if len(data) > MAX_BYTES:
        return CodeFile(path=path, unread=f"it has {len(data):,} bytes, more than the {MAX_BYTES:,} that are read")
    if marks(data) > MAX_MARKS:
        return CodeFile(path=path, unread=f"it has {marks(data):,} operators and line ends, more than any code needs")
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(data)
    except (SyntaxError, ValueError) as error:
        return CodeFile(path=path, unread=f"it is not Python: {str(error).partition('(')[0].strip()}")
    except (RecursionError, MemoryError):
        return CodeFile(path=path, unread="it is nested too deeply to be parsed")
    nodes = list(ast.walk(tree))
    aliases: dict[str, str] = {}
    imports: set[str] = set()
    siblings: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.add(alias.name.partition(".")[0])
                bound = alias.asname or alias.name.partition(".")[0]
                aliases[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                siblings += _relative(path, node)
                continue
            imports.add((node.module or "").partition(".")[0])
            aliases.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    calls = sorted(set(_calls(nodes, aliases)))[:MAX_CALLS]
    return CodeFile(
        path=path,
        imports=tuple(sorted(name for name in imports if name and name not in sys.stdlib_module_names)),
        siblings=tuple(dict.fromkeys(siblings)),
        calls=tuple(CodeCall(line=line, name=name, act=act) for line, name, act in calls),
    )


def marks(data: bytes) -> int:
    """Characters that begin or end something: a bound on the time that parsing takes (about 25 microseconds each)."""
    return sum(map(data.count, _MARKS))


_MARKS = tuple(bytes([c]) for c in b"\n;,.([{=+-*:")


def _relative(path: str, node: ast.ImportFrom) -> Iterator[str]:
    """The files that `from .module import name` may mean; of `from . import name` each name."""
    folder = path.rpartition("/")[0]
    for _ in range(node.level - 1):
        folder = folder.rpartition("/")[0]
    start = f"{folder}/" if folder else ""
    modules = [node.module] if node.module else [alias.name for alias in node.names]
    for module in modules:
        yield f"{start}{module.replace('.', '/')}.py"


def _calls(nodes: list[ast.AST], aliases: Mapping[str, str]) -> Iterator[tuple[int, str, CodeAct]]:
    for node in nodes:
        name = _dotted(node, aliases)
        act = _act(name) if name else None
        if name and act is not None:
            yield getattr(node, "lineno", 0), name, act


def _act(name: str) -> CodeAct | None:
    if (found := _FUNCTIONS.get(name)) is not None:
        return found
    module, dot, _ = name.partition(".")
    return _MODULES.get(module) if dot else None


def _dotted(node: ast.AST, aliases: Mapping[str, str]) -> str | None:
    """The full name that an expression stands for, where its beginning was imported or is a builtin."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id if node.id in _BUILTINS else None)
    if isinstance(node, ast.Attribute):
        holder = _dotted(node.value, aliases)
        return f"{holder}.{node.attr}" if holder and holder.count(".") < _DEEPEST else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        return _by_getattr(node, aliases)
    return None


_DEEPEST = 8


def _by_getattr(node: ast.Call, aliases: Mapping[str, str]) -> str | None:
    """`getattr(os, "system")` is `os.system`."""
    if len(node.args) < 2 or not isinstance(node.args[1], ast.Constant) or not isinstance(node.args[1].value, str):
        return None
    holder = _dotted(node.args[0], aliases)
    return f"{holder}.{node.args[1].value}" if holder else None
