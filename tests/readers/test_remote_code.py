"""Which files an auto_map leads to: followed through relative imports, never out of the folder."""

import json
from pathlib import Path

import pytest

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.remote_code import RemoteCode
from mmdoctor.readers.documents import documents
from mmdoctor.readers.remote_code import MAX_FILES, remote_code
from mmdoctor.readers.source import open_source


def read(folder: Path, config: object, files: dict[str, str] | None = None) -> RemoteCode:
    (folder / "config.json").write_text(json.dumps(config))
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    source = open_source(folder)
    return remote_code(source, documents(source))


def test_references_at_every_level(tmp_path: Path):
    config = {
        "auto_map": {"AutoConfig": "configuration_x.C", "AutoTokenizer": [None, "tokenization_x.T"]},
        "vision_config": {"auto_map": {"AutoModel": "owner/name--modeling_v.V"}},
    }
    found = read(tmp_path, config)

    assert [(r.key, r.file, r.repository, r.nested, r.at.pointer) for r in found.references] == [
        ("AutoConfig", "configuration_x.py", None, False, "/auto_map/AutoConfig"),
        ("AutoTokenizer", "tokenization_x.py", None, False, "/auto_map/AutoTokenizer/1"),
        ("AutoModel", "modeling_v.py", "owner/name", True, "/vision_config/auto_map/AutoModel"),
    ]
    assert [path for path, _ in found.missing] == ["configuration_x.py", "tokenization_x.py"]


def test_imports_are_followed_and_what_is_missing_is_placed(tmp_path: Path):
    found = read(
        tmp_path,
        {"auto_map": {"AutoModel": "modeling_x.X"}},
        {
            "modeling_x.py": "from .a import A\nfrom .package import P",
            "a.py": "from .gone import G\nimport os\nos.system('id')",
            "package/__init__.py": "from .inner import I",
            "package/inner.py": "",
        },
    )

    assert {f.path for f in found.files} == {"modeling_x.py", "a.py", "package/__init__.py", "package/inner.py"}
    assert [(path, at.file) for path, at in found.missing] == [("gone.py", "a.py")]
    assert [c.name for f in found.files for c in f.calls] == ["os.system"]


def test_no_auto_map_is_not_applicable(tmp_path: Path):
    with pytest.raises(NotApplicable):
        read(tmp_path, {"model_type": "bert"})


@pytest.mark.parametrize(
    "value",
    ["../../etc/passwd.X", "/etc/x.X", "..x.X", "a" * 600 + ".B", "noclass", "\x00.X", "x\ud800.Y", 7, None, {}],
)
def test_names_lead_nowhere_else(tmp_path: Path, value: object):
    (tmp_path.parent / "outside.py").write_text("import os")
    try:
        found = read(tmp_path, {"auto_map": {"AutoModel": value}})
    except NotApplicable:
        return
    assert found.files == ()


def test_circles_and_crowds_end(tmp_path: Path):
    many = {f"m{i}.py": f"from .m{i + 1} import A\nfrom .m{i} import B" for i in range(MAX_FILES + 20)}
    found = read(tmp_path, {"auto_map": {"AutoModel": "m0.X"}}, many)

    assert len(found.files) == MAX_FILES
