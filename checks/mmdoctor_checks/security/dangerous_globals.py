"""Globals that let a pickle run, load, write or fetch what it likes, by what they do.

Collected from the public bypasses of pickle scanners (protectai/modelscan#330, #338; the lists of picklescan and
fickling) and from the standard library's documentation of what executes strings, files or commands.
"""

EXECUTION = "execution"
FILE = "files"
NETWORK = "network"
IMPORT = "import machinery"
INDIRECTION = "indirection"
UNPICKLING = "loading another pickle"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_BUILTINS = {
    EXECUTION: _words("eval exec execfile compile breakpoint apply help"),
    IMPORT: _words("__import__"),
    INDIRECTION: _words("getattr setattr delattr globals locals vars map filter reduce"),
    FILE: _words("open file"),
}
MODULES: dict[str, str] = {
    **dict.fromkeys(_words("os posix nt subprocess _posixsubprocess pty commands popen2 _winapi msvcrt"), EXECUTION),
    **dict.fromkeys(_words("runpy code codeop pdb bdb cProfile profile trace timeit doctest _thread"), EXECUTION),
    **dict.fromkeys(_words("sched atexit _ctypes webbrowser antigravity marshal"), EXECUTION),
    **dict.fromkeys(_words("_frozen_importlib _frozen_importlib_external imp pkgutil zipimport site sys"), IMPORT),
    **dict.fromkeys(_words("shutil tempfile fileinput glob linecache mmap shelve zipfile tarfile gzip bz2 lzma"), FILE),
    **dict.fromkeys(_words("fcntl _io"), FILE),
    **dict.fromkeys(
        _words("socket _socket ssl urllib2 httplib ftplib smtplib poplib imaplib telnetlib nntplib"), NETWORK
    ),
    **dict.fromkeys(_words("socketserver cgi"), NETWORK),
    **dict.fromkeys(_words("operator _operator functools pydoc"), INDIRECTION),
    **dict.fromkeys(_words("pickle _pickle cPickle"), UNPICKLING),
}
"""Modules without submodules (a project may well have a package named `code`) to what their names let a pickle do."""

PACKAGES: dict[str, str] = {
    **dict.fromkeys(_words("multiprocessing concurrent asyncio ctypes cffi distutils setuptools pip"), EXECUTION),
    **dict.fromkeys(_words("ensurepip venv cloudpickle dill idlelib lib2to3 IPython os"), EXECUTION),
    **dict.fromkeys(_words("importlib"), IMPORT),
    **dict.fromkeys(_words("sqlite3 dbm"), FILE),
    **dict.fromkeys(_words("http urllib requests aiohttp httpx xmlrpc paramiko wsgiref"), NETWORK),
}
"""Packages, submodules included, to what their names let a pickle do."""

NAMES: dict[str, str] = {
    **{f"builtins.{name}": what for what, names in _BUILTINS.items() for name in names},
    **dict.fromkeys(["types.CodeType", "types.FunctionType", "types.LambdaType", "types.MethodType"], EXECUTION),
    **dict.fromkeys(["io.open", "io.open_code", "io.FileIO", "io.OpenWrapper", "codecs.open"], FILE),
    **dict.fromkeys(["logging.config.listen", "logging.config._resolve", "logging.FileHandler"], FILE),
    **dict.fromkeys(["torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.hub._get_torch_home"], NETWORK),
    **dict.fromkeys(["torch.hub.download_url_to_file", "torch.utils.model_zoo.load_url"], NETWORK),
    **dict.fromkeys(
        ["torch.load", "torch.serialization.load", "torch.jit.load", "torch.package.PackageImporter"], UNPICKLING
    ),
    **dict.fromkeys(["numpy.load", "pandas.read_pickle", "joblib.load"], UNPICKLING),
    **dict.fromkeys(["torch.utils.cpp_extension.load", "torch.utils.cpp_extension.load_inline"], EXECUTION),
    **dict.fromkeys(
        ["torch.ops.load_library", "torch.classes.load_library", "numpy.ctypeslib.load_library"], EXECUTION
    ),
    **dict.fromkeys(["torch._inductor.codecache.compile_file", "torch.utils.collect_env.run"], EXECUTION),
    **dict.fromkeys(
        ["torch.utils.bottleneck.__main__.run_cprofile", "torch.jit.unsupported_tensor_ops.execWrapper"], EXECUTION
    ),
    **dict.fromkeys(
        ["torch.utils.bottleneck.__main__.run_autograd_prof", "torch._dynamo.guards.GuardBuilder.get"], EXECUTION
    ),
    **dict.fromkeys(["torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression"], EXECUTION),
    **dict.fromkeys(["torch.utils._config_module.ConfigModule.load_config", "torch.save"], FILE),
    **dict.fromkeys(["numpy.testing._private.utils.runstring", "numpy.testing._private.utils.measure"], EXECUTION),
    **dict.fromkeys(
        ["numpy.testing._private.utils.rundocs", "numpy.testing.runstring", "numpy.core.records.fromfile"], EXECUTION
    ),
    **dict.fromkeys(
        ["numpy.save", "numpy.savez", "numpy.savetxt", "numpy.fromfile", "numpy.memmap", "numpy.loadtxt"], FILE
    ),
    **dict.fromkeys(["pandas.eval", "pandas.core.computation.eval.eval", "sympy.sympify", "aiohttp.run"], EXECUTION),
    **dict.fromkeys(["transformers.utils.import_utils._LazyModule", "transformers.dynamic_module_utils"], IMPORT),
    **dict.fromkeys(
        ["omegaconf.OmegaConf.register_new_resolver", "hydra.utils.instantiate", "hydra.utils.call"], INDIRECTION
    ),
    **dict.fromkeys(["hydra._internal.utils._locate", "hydra.utils.get_method", "hydra.utils.get_class"], INDIRECTION),
    "<computed>.<computed>": INDIRECTION,
}
"""Dotted names, or prefixes of them, to what they let a pickle do."""

PREFIXES: dict[str, str] = {
    **dict.fromkeys(_words("numpy.f2py. numpy.distutils. numpy.testing. torch.utils.cpp_extension."), EXECUTION),
    **dict.fromkeys(_words("torch.multiprocessing. torch._inductor. torch._dynamo. test."), EXECUTION),
    **dict.fromkeys(_words("torch.hub. torch.utils.model_zoo. torch.distributed."), NETWORK),
    **dict.fromkeys(_words("tensorflow.io."), FILE),
    **dict.fromkeys(_words("joblib."), UNPICKLING),
}
"""Beginnings of dotted names to what they let a pickle do; only functions, classes of them build values."""

REACHED = frozenset(
    _words("os posix nt sys subprocess builtins __builtin__ importlib shutil socket runpy pty pickle ctypes")
)
"""Modules that other modules import, so that `torch.serialization.os.system` reaches them under a harmless name."""

DUNDERS = frozenset(
    _words("__globals__ __builtins__ __subclasses__ __getattribute__ __dict__ __class__ __mro__ __base__ __bases__")
    + _words("__import__ __reduce__ __reduce_ex__ __setstate__ __init_subclass__ __call__ __closure__ __code__")
    + _words("__loader__ __spec__")
)
"""Attributes that lead from any object to the interpreter."""
