"""Calls of aten operators as PyTorch's own samples make them.

PyTorch's OpInfo database has sample inputs for its public functions. Running one on the CPU and watching the
dispatcher gives calls of the aten overloads below it, forward and backward, which can then be made again on the
device. So a row of the operator table is tested with PyTorch's samples, whatever layer it belongs to.
"""

import functools
import itertools
import re
from dataclasses import dataclass
from typing import Any, Dict, Tuple

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

SAMPLES_PER_FUNCTION = 60
CALLS_PER_OVERLOAD = 12

#: aten names that do not lead to a public function by the rules of `_public_names`.
SOURCES = {}


@dataclass(frozen=True)
class SampleCall:
    """One call of an aten overload with CPU tensors."""

    overload: Any
    args: Tuple[Any, ...]
    kwargs: Dict[str, Any]

    def moved(self, change):
        """The same arguments with `change` applied to every tensor."""
        return tree_map(lambda x: change(x) if isinstance(x, torch.Tensor) else x, (self.args, self.kwargs))


class _Recorder(TorchDispatchMode):
    """Keeps the calls of all overloads as they were before the call changed anything."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        kept = tree_map(lambda x: x.detach().clone() if isinstance(x, torch.Tensor) else x, (args, kwargs))
        self.calls.append(SampleCall(func, *kept))
        return func(*args, **kwargs)


def _public_names(base):
    """Last parts of names under which the public function above aten operator `base` may be known."""
    stem = base.strip("_")
    names = {base, stem}
    for ending in ("_backward", "_backward_data", "_forward", "_with_indices", "_backward_input"):
        if stem.endswith(ending):
            names.add(stem[: -len(ending)])
    names |= {re.sub(r"^(native|linalg|special|foreach)_", "", name) for name in names}
    return names | set(SOURCES.get(base, ()))


@functools.lru_cache(maxsize=None)
def functions_above(base):
    """The OpInfos whose samples should reach the aten operator `base`, e.g. "add" or "_softmax_backward_data"."""
    names = _public_names(base)
    return tuple(
        op for op in op_db if op.name.split(".")[-1] in names or op.aten_name in names or op.name in names
    )


@functools.lru_cache(maxsize=None)
def _recorded(op, dtype):
    """All calls below one public function, over its samples in one dtype."""
    backward = dtype in op.backward_dtypes and op.supports_autograd
    recorder = _Recorder()
    samples = op.sample_inputs("cpu", dtype, requires_grad=backward)
    for sample in itertools.islice(samples, SAMPLES_PER_FUNCTION):
        with recorder:
            result = op(sample.input, *sample.args, **sample.kwargs)
            outputs = [x for x in tree_flatten(result)[0] if isinstance(x, torch.Tensor) and x.requires_grad]
            if outputs:
                torch.autograd.backward(outputs, [torch.ones_like(x) for x in outputs])
            if op.inplace_variant is not None and not backward and not sample.broadcasts_input:
                op.inplace_variant(sample.input.clone(), *sample.args, **sample.kwargs)
    return tuple(recorder.calls)


def calls_reaching(overload, dtype):
    """Calls in `dtype` that end in `overload`: its own, and for an out= overload those of its functional form."""
    base = overload.overloadpacket.__name__
    inputs = _input_names(overload)
    found = []
    for op in functions_above(base):
        if dtype not in op.dtypes:
            continue
        for call in _recorded(op, dtype):
            if (
                call.overload.overloadpacket is overload.overloadpacket
                and _input_names(call.overload) == inputs
            ):
                found.append(call)
    step = max(1, len(found) // CALLS_PER_OVERLOAD)
    return found[::step][:CALLS_PER_OVERLOAD]


def out_names(overload):
    """Names of the arguments that an out= overload writes; empty for other overloads."""
    return [argument.name for argument in overload._schema.arguments if argument.is_out]


def _input_names(overload):
    """Names and types of the arguments that are not outputs, as far as they must agree between the forms."""
    return [
        (argument.name, str(argument.type)) for argument in overload._schema.arguments if not argument.is_out
    ]
