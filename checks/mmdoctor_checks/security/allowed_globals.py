"""Globals that are harmless in a pickle: they build values and run nothing that the pickle chooses."""

from mmdoctor_checks.security.weights_only_globals import IMPLIED, WEIGHTS_ONLY

BUILTINS: frozenset[str] = frozenset(
    [
        *(f"builtins.{n}" for n in ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int")),
        *(f"builtins.{n}" for n in ("list", "object", "range", "set", "slice", "str", "tuple")),
    ]
)
"""CPython: constructors of plain values."""

STANDARD_LIBRARY: frozenset[str] = frozenset(
    [
        *(f"collections.{n}" for n in ("Counter", "OrderedDict", "defaultdict", "deque", "ChainMap")),
        *(f"datetime.{n}" for n in ("date", "datetime", "time", "timedelta", "timezone")),
        *(f"pathlib.{n}" for n in ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath")),
        *(f"pathlib._local.{n}" for n in ("Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")),
        *(f"typing.{n}" for n in ("Any", "Dict", "List", "Optional", "Tuple", "Union")),
        *(
            "_codecs.encode",
            "argparse.Namespace",
            "array._array_reconstructor",
            "array.array",
            "copyreg._reconstructor",
        ),
        *("copyreg.__newobj__", "decimal.Decimal", "enum.Enum", "fractions.Fraction", "ipaddress.IPv4Address"),
        *("random.Random", "types.SimpleNamespace", "uuid.UUID", "zoneinfo.ZoneInfo", "zoneinfo.ZoneInfo._unpickle"),
        *(
            "itertools.count",
            "itertools.cycle",
            "math.inf",
            "re._compile",
            "io.BytesIO",
            "io.StringIO",
            "_io.BytesIO",
            "_io.StringIO",
            "string.Template",
            "uuid.SafeUUID",
        ),
    ]
)
"""CPython Lib: what these types' `__reduce_ex__` name. `copyreg._reconstructor` calls `cls.__new__` of a class that is
listed for itself."""

NUMPY: frozenset[str] = frozenset(
    [
        *("numpy.dtype", "numpy.ndarray", "numpy.bool_", "numpy.bool", "numpy.str_", "numpy.bytes_", "numpy.matrix"),
        *(f"numpy.{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(f"numpy.float{bits}" for bits in (16, 32, 64, 128)),
        *("numpy.complex64", "numpy.complex128", "numpy.datetime64", "numpy.timedelta64", "numpy.ma.core.MaskedArray"),
        *(f"numpy.{core}.multiarray.{n}" for core in ("core", "_core") for n in ("_reconstruct", "scalar")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
        *(f"numpy.random._pickle.__{n}_ctor" for n in ("randomstate", "generator", "bit_generator")),
        *(f"numpy.random._{n}" for n in ("mt19937.MT19937", "pcg64.PCG64", "philox.Philox", "sfc64.SFC64")),
        *("numpy.ma.core._mareconstruct", "numpy.rec.recarray", "numpy.recarray", "numpy.core.records.recarray"),
    ]
)
"""numpy: what `ndarray.__reduce__`, scalars, dtypes and random states name (numpy/_core/src/multiarray/methods.c,
numpy/random/_pickle.py)."""

TORCH: frozenset[str] = (
    WEIGHTS_ONLY
    | IMPLIED
    | frozenset(
        [
            *(f"torch._tensor._rebuild_{n}" for n in ("from_type", "from_type_v2")),
            *(f"torch.tensor._rebuild_{n}" for n in ("from_type", "from_type_v2")),
            *("torch._utils._rebuild_xla_tensor", "torch._utils._rebuild_sparse_csr_tensor"),
            *(
                "torch.nn.parameter.Buffer",
                "torch.nn.parameter.UninitializedParameter",
                "torch.torch_version.TorchVersion",
            ),
            *("torch.dtype", "torch.layout", "torch.memory_format", "torch._C.Generator", "torch.Generator"),
            *("torch._C._nn.gelu", "torch._C._nn.silu", "torch.nn.functional.relu", "torch.nn.functional.gelu"),
            *(
                "torch.nn.functional.silu",
                "torch.nn.functional.leaky_relu",
                "torch.nn.functional.softmax",
                "torch.relu",
            ),
            *("torch.tanh", "torch.sigmoid", "torch.strided", "torch.sparse_coo", "torch.channels_last"),
            *("torch.contiguous_format", "torch.preserve_format", "torch.nn.functional.interpolate", "torch.softmax"),
        ]
    )
)
"""torch: the weights_only list, rebuild functions of other versions, constants, and the activation functions that
pickled modules keep as attributes."""

SCRIPT: tuple[str, ...] = ("__torch__.", "torch.jit._pickle.")
"""TorchScript: names that torch's C++ unpickler resolves within the archive (jit/serialization/unpickler.cpp)."""

DATA_PACKAGES: tuple[str, ...] = (
    "torch.nn.modules.",
    "torch.nn.parameter.",
    "torch.nn.quantized.",
    "torch.ao.",
    "torch.optim.",
)
"""Packages whose classes are what whole pickled modules and optimizers are made of; classes of them only."""

JOBLIB: frozenset[str] = frozenset(
    f"joblib.numpy_pickle{n}" for n in (".NumpyArrayWrapper", "_compat.NDArrayWrapper", "_compat.ZNDArrayWrapper")
)
"""joblib/numpy_pickle.py: markers in front of the raw arrays of joblib.dump."""

ALLOWED: frozenset[str] = BUILTINS | STANDARD_LIBRARY | NUMPY | TORCH | JOBLIB

KNOWN_OBJECTS: tuple[str, ...] = (
    *(
        "argparse.",
        "omegaconf.",
        "transformers.",
        "torch.fx.",
        "e3nn.",
        "pytorch_lightning.",
        "lightning.",
        "lightning_fabric.",
    ),
    *(
        "accelerate.",
        "peft.",
        "tokenizers.",
        "yacs.",
        "easydict.",
        "addict.",
        "ml_collections.",
        "box.",
        "munch.",
        "sklearn.",
    ),
    *(
        "timm.",
        "torchvision.",
        "torchaudio.",
        "ultralytics.",
        "pyannote.",
        "fairseq.",
        "detectron2.",
        "mmengine.",
        "mmcv.",
    ),
    *("pandas.", "scipy.", "deepspeed.", "diffusers.", "sentence_transformers.", "hydra.", "functools.partial"),
)
"""Libraries whose objects real checkpoints carry: custom objects, not malware."""


def harmless_to_allow(dotted: str) -> bool:
    """Whether the name may be handed to torch.serialization.add_safe_globals without thought."""
    return dotted in ALLOWED and dotted not in {"_codecs.encode", "copyreg._reconstructor"}
