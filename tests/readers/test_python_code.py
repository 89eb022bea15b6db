"""What a Python file could do is read off its syntax tree, by whatever name it calls it; hostile text ends in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.facts.remote_code import CodeAct
from mmdoctor.readers.python_code import MAX_BYTES, digest


def acts(text: str) -> list[tuple[int, str, CodeAct]]:
    return [(c.line, c.name, c.act) for c in digest("modeling_x.py", text.encode()).calls]


@pytest.mark.parametrize(
    ("text", "name", "act"),
    [
        ("import os\nos.system('id')", "os.system", CodeAct.EXECUTE),
        ("import os as o\no.system('id')", "os.system", CodeAct.EXECUTE),
        ("from os import system as s\ns('id')", "os.system", CodeAct.EXECUTE),
        ("import os\nrun = os.execvp", "os.execvp", CodeAct.EXECUTE),
        ("import os\ngetattr(os, 'popen')('id')", "os.popen", CodeAct.EXECUTE),
        ("import subprocess\nsubprocess.run(['id'])", "subprocess.run", CodeAct.EXECUTE),
        ("from subprocess import Popen\nPopen('id')", "subprocess.Popen", CodeAct.EXECUTE),
        ("list(map(eval, ['1']))", "eval", CodeAct.EXECUTE),
        ("import builtins\nbuiltins.exec('1')", "builtins.exec", CodeAct.EXECUTE),
        ("class A:\n  def f(self):\n    exec('1')", "exec", CodeAct.EXECUTE),
        ("import socket\ns = socket.socket()", "socket.socket", CodeAct.NETWORK),
        ("import requests\nrequests.get('u')", "requests.get", CodeAct.NETWORK),
        ("import urllib.request\nurllib.request.urlopen('u')", "urllib.request.urlopen", CodeAct.NETWORK),
        ("from base64 import b64decode\nb64decode('eA==')", "base64.b64decode", CodeAct.DECODE),
        ("import pickle\npickle.loads(b'')", "pickle.loads", CodeAct.UNPICKLE),
        ("import torch\ntorch.load('f')", "torch.load", CodeAct.UNPICKLE),
        ("import shutil\nshutil.rmtree('/')", "shutil.rmtree", CodeAct.FILES),
        ("import importlib\nimportlib.import_module('m')", "importlib.import_module", CodeAct.IMPORT),
    ],
)
def test_calls_are_found_by_every_name(text: str, name: str, act: CodeAct):
    assert (name, act) in {(n, a) for _, n, a in acts(text)}


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()",
        "import torch\ntorch.compile(f)\ntorch.nn.functional.softmax(x)",
        "import re\nre.compile('x')",
        "import os\nos.path.join('a', 'b')\nos.environ['X']",
        "def system(x): ...\nsystem(1)",
        "x = 'os.system(1)'  # eval(1)",
        "import numpy as np\nnp.array([1])",
    ],
)
def test_silent_on_what_models_do(text: str):
    assert acts(text) == []


def test_packages_and_siblings():
    found = digest(
        "code/modeling_x.py",
        b"import os, torch.nn as nn\nfrom einops import rearrange\nfrom .configuration_x import A\nfrom . import b, c",
    )

    assert found.imports == ("einops", "torch")
    assert found.siblings == ("code/configuration_x.py", "code/b.py", "code/c.py")


HOSTILE = {
    "nothing": b"",
    "NUL bytes": b"import os\0",
    "not UTF-8": b"# \xff\xfe\nx = '\xff'",
    "an unknown coding": b"# -*- coding: rot13 -*-\nvzcbeg bf",
    "brackets": b"(" * 50_000,
    "minus signs": b"-" * 100_000 + b"1",
    "attributes": b"a" + b".a" * 100_000,
    "a chain of calls": b"f" + b"()" * 20_000,
    "nested functions": b"".join(b" " * i + b"def f():\n" for i in range(90)),
    "else ifs": b"if 1: pass\n" + b"elif 1: pass\n" * 3_000,
    "a huge number": b"x = " + b"9" * 5_000,
    "strings in strings": b"f'{" * 500,
    "no Python": b"<html>not found</html>",
    "statements": b"a\n" * (MAX_BYTES // 2),
    "too long": b"#" * (MAX_BYTES + 1),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_read_or_refused_in_words(kind: str):
    found = digest("x.py", HOSTILE[kind])

    assert found.unread is None or (found.unread.startswith("it ") and "\n" not in found.unread)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes):
    assert digest("x.py", data).path == "x.py"
