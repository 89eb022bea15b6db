"""Which dictionaries of a training checkpoint hold the model, an average of it, or the optimizer's state."""

import re

import msgspec

from mmdoctor.facts.checkpoint import TensorGroup
from mmdoctor.readers.pickle_tensors import TensorRecord
from mmdoctor.readers.pickle_tree import Node

MODEL_KEYS = frozenset(
    {
        "state_dict",
        "model",
        "model_state_dict",
        "model_state",
        "module",
        "net",
        "network",
        "weights",
        "weight",
        "params",
    }
    | {"state", "model_weights", "net_state_dict", "module_state_dict"}
)
"""Keys that checkpoints keep the model under, such as Lightning's `state_dict`, DeepSpeed's `module`, resemblyzer's
`model_state` and basicsr's `params`."""
_MODEL_WORDS = {"model", "net", "network", "generator", "discriminator", "encoder", "decoder", "backbone"} | {
    *("teacher", "student", "critic", "actor", "projector", "head", "netg", "netd", "unet", "vae", "module")
}
_EMA_WORDS = {"ema", "shadow", "averaged", "swa", "moving"}
_OPTIMIZER_WORDS = {"optimizer", "optimizers", "optim", "opt", "optimizerg", "optimizerd"}
# torch.optim's state keys: SGD, Adam and its kin, RMSprop, Adagrad, Adadelta, Rprop; DeepSpeed's flat partitions.
_OPTIMIZER_LEAVES = {
    "momentum_buffer",
    "exp_avg",
    "exp_avg_sq",
    "max_exp_avg_sq",
    "exp_inf",
    "square_avg",
    "grad_avg",
} | {*("acc_delta", "sum", "step", "prev", "step_size", "mu_product", "ax", "eta", "mu", "base_optimizer_state")}
_PARAMETER = re.compile(
    r"(?:^|[._])(?:weight|bias|running_mean|running_var|gamma|beta|kernel|embedding|proj)(?:_[gvlr\w]*)?$"
)


class Group(msgspec.Struct, frozen=True):
    """One dictionary of tensors."""

    path: tuple[str, ...]
    role: str
    """`model`, `ema`, `optimizer` or `other`."""
    tensors: tuple[tuple[str, TensorRecord], ...]
    """Names relative to the dictionary."""

    @property
    def dotted(self) -> str:
        """The path as one string."""
        return ".".join(self.path)

    def fact(self) -> TensorGroup:
        """The group as a fact."""
        views = {(t.storage.key, t.offset, t.size): t.size for _, t in self.tensors if t.storage is not None}
        loose = sum(t.size for _, t in self.tensors if t.storage is None)
        return TensorGroup(
            path=self.dotted,
            role=self.role,
            count=len(self.tensors),
            parameters=sum(t.numel for _, t in self.tensors),
            nbytes=sum(views.values()) + loose,
        )


def groups_of(root: Node) -> tuple[Group, ...]:
    """All dictionaries of tensors below a root, in order of appearance."""
    found: list[Group] = []
    waiting: list[tuple[tuple[str, ...], Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if is_optimizer(node):
            below = dict(node.branches()).get("state")
            inner = below if below is not None and below.tensors == node.tensors else None
            state = (*path, "state") if inner else path
            found.append(Group(state, "optimizer", tuple((inner or node).flatten())))
            continue
        apart = [(key, branch) for key, branch in node.branches() if _stands_apart(key, branch, node)]
        names = {key for key, _ in apart}
        own = tuple((name, t) for name, t in _without(node, names))
        if own:
            found.append(Group(path, role_of(path, own), own))
        waiting.extend(((*path, key), branch) for key, branch in reversed(apart))
    return tuple(found)


def _without(node: Node, names: set[str]) -> list[tuple[str, TensorRecord]]:
    if not names:
        return list(node.flatten())
    rest = Node(node.record, node.kind, None)
    rest.entries = [(k, v) for k, v in node.entries if k not in names]
    return list(rest.flatten())


def is_optimizer(node: Node) -> bool:
    """Whether it is what torch.optim.Optimizer.state_dict() gives."""
    return {"state", "param_groups"} <= set(node.keys)


def _stands_apart(key: str, branch: Node, parent: Node) -> bool:
    """Whether a dictionary in a dictionary is a state dict of its own, and not a level of nested parameter names."""
    if parent.kind == "module":
        return False
    if is_optimizer(branch) or branch.kind == "module" or parent.kind == "list":
        return True
    direct = parent.direct()
    if any("." in k for k, _ in branch.direct()) or _words(key) & (_OPTIMIZER_WORDS | _EMA_WORDS):
        return True
    if key in MODEL_KEYS or parent.kind == "instance":
        return not direct or len(direct) < branch.tensors
    return not direct and bool(parent.scalars)


def _words(key: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()))


def role_of(path: tuple[str, ...], tensors: tuple[tuple[str, TensorRecord], ...]) -> str:
    """What a dictionary of tensors is, from the keys above it and the names in it."""
    words = set().union(*(_words(p) for p in path)) if path else set()
    leaves = [name.rpartition(".")[2] for name, _ in tensors]
    if words & _OPTIMIZER_WORDS or ("exp_avg" in leaves and len(set(leaves) - _OPTIMIZER_LEAVES) == 0):
        return "optimizer"
    if words & _EMA_WORDS:
        return "ema"
    if not path or path[-1] in MODEL_KEYS or words & _MODEL_WORDS or {"state", "dict"} <= words:
        return "model"
    parameters = sum(1 for name, _ in tensors if _PARAMETER.search(name))
    return "model" if 2 * parameters >= len(tensors) else "other"


def choose(groups: tuple[Group, ...]) -> Group | None:
    """The group that is the model; None where several could be, or none."""
    models = [g for g in groups if g.role == "model" and g.tensors]
    if len(models) > 1:
        models = [g for g in models if g.path and g.path[-1] in MODEL_KEYS] or models
    if len(models) == 1:
        return models[0]
    if models:
        return None
    rest = [g for g in groups if g.role != "optimizer"]
    return rest[0] if len(rest) == 1 else None


def candidates(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """What to list where no single group is the model: all that could be, without the optimizer's state."""
    models = tuple(g for g in groups if g.role == "model")
    return models or tuple(g for g in groups if g.role != "optimizer")
