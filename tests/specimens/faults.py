"""A model folder under the knife: copy a healthy one, then break exactly what the test is about.

    patient = Patient.copy(specimens.build("qwen2_5_vl"), tmp_path / "sick")
    patient.edit("config.json", {"/vision_config/patch_size": 16})
    patient.drop_tensor("visual.merger.*")

Patterns are globs over tensor or file names; a pattern that matches nothing raises, so that a test cannot pass on a
patient that was never touched. numpy only, but for `pickled`.
"""

import fnmatch
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from tests.specimens import tensors as store
from tests.specimens.tensors import Header, Tensor

INDEX = "model.safetensors.index.json"


class Patient:
    """One folder and the ways to hurt it."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @classmethod
    def copy(cls, source: Path, target: Path) -> "Patient":
        """A patient in `target`, as healthy as `source`."""
        shutil.copytree(source, target)
        return cls(target)

    # ------------------------------------------------------------------------------------------------ files

    def __truediv__(self, file: str) -> Path:
        return self.path / file

    def write(self, file: str, content: str | bytes | Mapping[str, Any] | list[Any]) -> None:
        """Create or replace `file`; anything but text and bytes is written as JSON."""
        target = self / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            target.write_text(text, encoding="utf-8")

    def delete(self, *patterns: str) -> None:
        """Remove the files that match."""
        for pattern in patterns:
            for name in self._matching(pattern, [path.name for path in self.path.iterdir()], "file"):
                (self / name).unlink()

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; an index does not follow."""
        (self / old).rename(self / new)

    def truncate(self, file: str, share: float) -> int:
        """Keep the first `share` of the bytes, as an interrupted download does; returns how many are left."""
        data = (self / file).read_bytes()
        kept = int(len(data) * share)
        (self / file).write_bytes(data[:kept])
        return kept

    def flip(self, file: str, offset: int, bit: int = 0) -> None:
        """Turn over one bit; a negative `offset` counts from the end."""
        data = bytearray((self / file).read_bytes())
        data[offset] ^= 1 << bit
        (self / file).write_bytes(data)

    # ------------------------------------------------------------------------------------------------- JSON

    def json(self, file: str) -> Any:
        """The content of a JSON file."""
        return json.loads((self / file).read_text(encoding="utf-8"))

    def edit(self, file: str, changes: Mapping[str, Any]) -> None:
        """Set values by JSON pointer: `{"/vision_config/patch_size": 16}`; missing parents are made."""
        content = self.json(file) if (self / file).exists() else {}
        for pointer, value in changes.items():
            parent, key = _resolve(content, pointer, make=True)
            if isinstance(parent, list):
                _set_item(parent, key, value)
            else:
                parent[key] = value
        self.write(file, content)

    def drop_key(self, file: str, *pointers: str) -> None:
        """Remove values by JSON pointer; each must be there."""
        content = self.json(file)
        for pointer in pointers:
            parent, key = _resolve(content, pointer, make=False)
            del parent[int(key) if isinstance(parent, list) else key]
        self.write(file, content)

    def image_processor(self, changes: Mapping[str, Any]) -> str:
        """`edit` where this folder keeps its image processor, in either layout of transformers; returns the file."""
        return self._part("image_processor", "preprocessor_config.json", changes)

    def video_processor(self, changes: Mapping[str, Any]) -> str:
        """The same for videos."""
        return self._part("video_processor", "video_preprocessor_config.json", changes)

    def feature_extractor(self, changes: Mapping[str, Any]) -> str:
        """The same for sounds."""
        return self._part("feature_extractor", "preprocessor_config.json", changes)

    def _part(self, part: str, own: str, changes: Mapping[str, Any]) -> str:
        shared = "processor_config.json"
        if (self / shared).exists() and part in self.json(shared):
            self.edit(shared, {f"/{part}{pointer}": value for pointer, value in changes.items()})
            return shared
        if not (self / own).exists():
            raise LookupError(f"{self.path.name} has no {part}")
        self.edit(own, changes)
        return own

    # ---------------------------------------------------------------------------------------------- weights

    def shards(self) -> list[str]:
        """Names of the safetensors files."""
        return sorted(path.name for path in self.path.glob("*.safetensors"))

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the folder."""
        return {name: tensor for shard in self.shards() for name, tensor in store.read(self / shard)[0].items()}

    def tensor(self, name: str, new: ArrayLike | Tensor | Callable[[Tensor], ArrayLike | Tensor]) -> None:
        """Replace the tensors that match `name`; plain numbers keep the dtype, whatever their shape."""
        hits = set(self._matching(name, list(self.tensors()), "tensor"))

        def change(key: str, old: Tensor) -> dict[str, Tensor]:
            value = new(old) if callable(new) else new
            return {key: value if isinstance(value, Tensor) else old.like(value)}

        self._rewrite(lambda key, old: change(key, old) if key in hits else {key: old})

    def poison(self, name: str, value: float, every: int = 97) -> None:
        """Put `value` (NaN, Inf, 1e30) into every 97th element of the tensors that match."""

        def change(old: Tensor) -> Tensor:
            values = old.floats().copy()
            values.reshape(-1)[::every] = value
            return old.like(values)

        self.tensor(name, change)

    def cast(self, dtype: str, name: str = "*") -> None:
        """Store the floating tensors that match in another dtype."""
        self.tensor(name, lambda old: Tensor.of(old.floats(), dtype) if old.dtype.startswith(("F", "BF")) else old)

    def drop_tensor(self, pattern: str) -> None:
        """Leave out the tensors that match, in the index too."""
        hits = set(self._matching(pattern, list(self.tensors()), "tensor"))
        self._rewrite(lambda key, old: {} if key in hits else {key: old})

    def add_tensor(self, name: str, values: ArrayLike, dtype: str = "F32") -> None:
        """One tensor more, in the last file."""
        shard = self.shards()[-1]
        kept, metadata = store.read(self / shard)
        store.write(self / shard, kept | {name: Tensor.of(values, dtype)}, metadata)
        self._reindex()

    def rename_tensors(self, new_name: Callable[[str], str]) -> None:
        """Give every tensor the name that `new_name` makes of it."""
        before = set(self.tensors())
        self._rewrite(lambda key, old: {new_name(key): old})
        if set(self.tensors()) == before:
            raise LookupError("no tensor got another name")

    def reshard(self, count: int) -> list[str]:
        """Spread the tensors over `count` files with an index, or back into one; returns the files."""
        everything = list(self.tensors().items())
        self.delete("*.safetensors")
        (self / INDEX).unlink(missing_ok=True)
        files = [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
        files = files if count > 1 else ["model.safetensors"]
        step = -(-len(everything) // count)
        for number, file in enumerate(files):
            store.write(self / file, dict(everything[number * step : (number + 1) * step]), {"format": "pt"})
        if count > 1:
            self._reindex(make=True)
        return files

    def header(self, file: str, change: Callable[[Header], Header | None]) -> None:
        """Rewrite the header of one safetensors file, changed in place or replaced; the data stays byte for byte."""
        tensors, metadata = store.read(self / file)
        store.write(self / file, tensors, metadata, change)

    def pickled(
        self, file: str = "pytorch_model.bin", wrap: Callable[[dict[str, Any]], Any] | None = None, legacy: bool = False
    ) -> Path:
        """Replace the safetensors by one `torch.save`, wrapped as in `{"model": ...}` if asked to; needs torch."""
        import torch

        state = {}
        for name, tensor in self.tensors().items():
            raw = torch.from_numpy(tensor.array.view("<i2") if tensor.dtype == "BF16" else tensor.array)
            state[name] = raw.view(torch.bfloat16) if tensor.dtype == "BF16" else raw
        self.delete("*.safetensors")
        (self / INDEX).unlink(missing_ok=True)
        torch.save(wrap(state) if wrap else state, self / file, _use_new_zipfile_serialization=not legacy)
        return self / file

    def _rewrite(self, change: Callable[[str, Tensor], dict[str, Tensor]]) -> None:
        for shard in self.shards():
            old, metadata = store.read(self / shard)
            new: dict[str, Tensor] = {}
            for name, tensor in old.items():
                new |= change(name, tensor)
            if list(new) != list(old) or any(new[name] is not old[name] for name in new):
                store.write(self / shard, new, metadata)
        self._reindex()

    def _reindex(self, make: bool = False) -> None:
        """Let the index name what the files hold; untouched where it was right, absent where there was none."""
        if not make and not (self / INDEX).exists():
            return
        held = {shard: store.read(self / shard)[0] for shard in self.shards()}
        weight_map = {name: shard for shard in held for name in held[shard]}
        size = sum(tensor.array.nbytes for tensors in held.values() for tensor in tensors.values())
        metadata = self.json(INDEX)["metadata"] if (self / INDEX).exists() else {}
        self.write(INDEX, {"metadata": metadata | {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))})

    def _matching(self, pattern: str, names: list[str], what: str) -> list[str]:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise LookupError(
                f"no {what} of {self.path.name} matches {pattern!r}; there are {', '.join(sorted(names)[:8])}"
            )
        return found


def _resolve(content: Any, pointer: str, make: bool) -> tuple[Any, str]:
    """The parent and the last key of a JSON pointer (RFC 6901)."""
    if not pointer.startswith("/"):
        raise ValueError(f"a JSON pointer starts with a slash: {pointer!r}")
    *parents, key = (part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))
    node = content
    for parent in parents:
        if make and isinstance(node, dict):
            node.setdefault(parent, {})
        node = node[int(parent) if isinstance(node, list) else parent]
    return node, key


def _set_item(items: list[Any], key: str, value: Any) -> None:
    if key == "-":
        items.append(value)
    else:
        items[int(key)] = value
