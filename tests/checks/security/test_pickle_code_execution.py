"""SEC001: what executes is an error whatever it is called, custom objects are a note, tensors are silent."""

from pathlib import Path

import pytest

from mmdoctor import Severity
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.pickles import PickleGlobal, PickleProgram, Pickles, Unscanned
from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.readers.pickle_files import pickles as walk
from mmdoctor.readers.torch_file import read_torch
from mmdoctor.testing import fires, silent
from mmdoctor_checks.security.pickle_code_execution import pickle_code_execution
from tests.hostile import pickles, zips


def named(*dotted: str, called: bool = True, kind: FileKind = FileKind.TORCH_ZIP, **more: object) -> Pickles:
    """A file whose pickle names these; `module:name`."""
    found = tuple(PickleGlobal(module=d.split(":")[0], name=d.split(":")[1], called=called) for d in dotted)
    return Pickles(programs=(PickleProgram(file="m.pt", globals=found, kind=kind, **more),))


def folder(root: Path, **files: bytes) -> Source:
    """A folder with these files, kinds as a naive listing would have them."""
    entries = []
    for name, data in files.items():
        (root / name).write_bytes(data)
        kind = FileKind.TORCH_ZIP if data.startswith(b"PK") else FileKind.PICKLE
        if not data.startswith((b"PK", b"\x80")):
            kind = FileKind.UNKNOWN
        if data.startswith(b"\x93NUMPY"):
            kind = FileKind.NUMPY
        entries.append(FileEntry(path=name, kind=kind, size=len(data), head=data[:512]))
    return Source(root=root, name=root.name, files=tuple(entries))


DANGEROUS = [
    "os:system",
    "posix:system",
    "nt:system",
    "subprocess:Popen",
    "builtins:eval",
    "builtins:exec",
    "builtins:getattr",
    "builtins:__import__",
    "builtins:open",
    "runpy:run_path",
    "socket:socket",
    "webbrowser:open",
    "pty:spawn",
    "sys:settrace",
    "importlib:import_module",
    "operator:attrgetter",
    "operator:methodcaller",
    "functools:reduce",
    "pydoc:locate",
    "timeit:timeit",
    "cProfile:runctx",
    "multiprocessing.util:spawnv_passfds",
    "asyncio.unix_events:_UnixSubprocessTransport._start",
    "pickle:loads",
    "marshal:loads",
    "shutil:rmtree",
    "urllib.request:urlopen",
    "torch.hub:load",
    "torch:load",
    "torch.serialization:load",
    "torch.serialization:os.system",
    "torch.utils.cpp_extension:load_inline",
    "torch._inductor.codecache:compile_file",
    "torch.utils.collect_env:run",
    "numpy.testing._private.utils:runstring",
    "numpy.f2py.crackfortran:myeval",
    "numpy:load",
    "pandas:read_pickle",
    "joblib:load",
    "cloudpickle.cloudpickle:_make_function",
    "dill._dill:_create_code",
    "types:CodeType",
    "collections:OrderedDict.__init__.__globals__",
    "<computed>:<computed>",
]


@pytest.mark.parametrize("dotted", DANGEROUS)
def test_fires_on_what_executes(dotted: str):
    (problem,) = fires(pickle_code_execution, named(dotted))

    assert problem.severity in (None, Severity.ERROR)
    assert "can execute" in problem.message
    assert "malware" not in problem.message


@pytest.mark.parametrize(
    "dotted", ["torch.utils.whatever:run_it", "numpy.lib.new:helper", "base64:b64decode", "somelib:go"]
)
def test_warns_of_functions_on_no_list(dotted: str):
    (problem,) = fires(pickle_code_execution, named(dotted))

    assert problem.severity is Severity.WARNING


HARMLESS = [
    "collections:OrderedDict",
    "torch._utils:_rebuild_tensor_v2",
    "torch:FloatStorage",
    "numpy.core.multiarray:_reconstruct",
    "numpy._core.multiarray:scalar",
    "numpy:dtype",
    "_codecs:encode",
    "builtins:set",
    "builtins:slice",
    "torch.nn.modules.linear:Linear",
    "torch.torch_version:TorchVersion",
    "argparse:Namespace",
    "datetime:datetime",
    "pathlib:PosixPath",
]


@pytest.mark.parametrize("dotted", HARMLESS)
def test_silent_on_values(dotted: str):
    silent(pickle_code_execution, named(dotted))


@pytest.mark.parametrize(
    "dotted",
    [
        "transformers.training_args:TrainingArguments",
        "omegaconf.dictconfig:DictConfig",
        "e3nn.o3._irreps:Irreps",
        "torch.fx.graph_module:reduce_graph_module",
        "pyannote.audio.core.task:Problem",
        "models.net:Net",
        "code.models.net:Net",
        "functools:partial",
        "inspect:Signature",
    ],
)
def test_custom_objects_are_a_note(dotted: str):
    (problem,) = fires(pickle_code_execution, named(dotted))

    assert problem.severity is Severity.NOTE
    assert "custom objects" in problem.message


def test_enum_members_by_getattr_are_no_alarm():
    (problem,) = fires(
        pickle_code_execution, named("builtins:getattr", "proj.kinds:Kind", "proj.kinds:Kind.A", called=False)
    )

    assert problem.severity is Severity.NOTE


def test_torchscript_names_exist_only_in_its_archive():
    silent(
        pickle_code_execution, named("__torch__.net:Net", "torch.jit._pickle:build_intlist", kind=FileKind.TORCHSCRIPT)
    )


def test_what_other_tools_overlook_is_named():
    (problem,) = fires(pickle_code_execution, named("torch:FloatStorage", hidden=("the local header says otherwise",)))

    assert problem.severity is Severity.WARNING


def test_not_scanned_is_said():
    facts = Pickles(programs=(), unscanned=(Unscanned(file="a.pkl", why="it is compressed"),))
    (problem,) = fires(pickle_code_execution, facts)

    assert "not scanned" in problem.message


def test_every_file_is_walked_and_nothing_runs(tmp_path: Path):
    target = tmp_path / "touched"
    evil = pickles.touching(target)
    array = (
        b"\x93NUMPY\x01\x00\x40\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(63)
        + b"\n"
        + evil
    )
    source = folder(
        tmp_path,
        **{
            "model.pt": pickles.archive(pickles.plain_state_dict()),
            "training_args.bin": evil,
            "optimizer.pt": pickles.archive(evil),
            "array.npy": array,
            "old.pkl": pickles.touching(target, 0),
            "notes": pickles.touching(target, 4),
            "getattr.pkl": pickles.through_getattr(),
            "computed.pkl": pickles.computed_name(),
            "inner.pt": pickles.nested(evil),
            "hidden.pt": zips.hidden_member(evil),
        },
    )
    problems = fires(pickle_code_execution, walk(source, None))
    errors = {p.because[0].at.file for p in problems if p.severity in (None, Severity.ERROR)}

    assert errors == {f.path for f in source.files} - {"model.pt"}
    assert not target.exists()


def test_archives_that_are_read_in_two_ways(tmp_path: Path):
    (problem,) = fires(pickle_code_execution, walk(folder(tmp_path, **{"m.pt": zips.traversal()}), None))

    assert problem.severity is Severity.WARNING
    assert "outside" in problem.message


def test_damaged_weights_are_named_once(tmp_path: Path):
    source = folder(tmp_path, **{"m.pt": b"\x80\x02}K"})
    file = read_torch(tmp_path / "m.pt", source.files[0])
    (problem,) = fires(pickle_code_execution, walk(source, Checkpoint(files=(file,), tensors={})))

    assert problem.severity is Severity.NOTE


def test_safe_files_are_silent(tmp_path: Path):
    silent(pickle_code_execution, walk(folder(tmp_path, **{"m.pt": zips.healthy()}), None))


def test_without_pickles_there_is_nothing_to_say(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    source = Source(root=tmp_path, name="x", files=(FileEntry(path="config.json", kind=FileKind.JSON, size=2),))
    with pytest.raises(NotApplicable):
        walk(source, None)
