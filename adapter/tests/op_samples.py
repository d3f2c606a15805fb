"""Calls of aten operators as PyTorch's own samples make them.

PyTorch's OpInfo database has sample inputs for its public functions. Running one on the CPU and watching the
dispatcher gives calls of the aten overloads below it, forward and backward, which can then be made again on
the device. So a row of the operator table is tested with PyTorch's samples, whatever layer it belongs to.
"""

import functools
import itertools
import re
from dataclasses import dataclass

import torch
from torch.testing import make_tensor
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import BinaryUfuncInfo
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

SAMPLES_PER_FUNCTION = 24
CALLS_PER_OVERLOAD = 12

#: aten operators to whose public functions the rules of `_public_names` do not lead.
SOURCES = {
    "convolution": ["conv1d", "conv2d", "conv_transpose2d"],
    "embedding_dense": ["embedding"],
    "index": ["__getitem__"],
    "index_put": ["index_put", "__setitem__"],
}

#: Operators that the CPU reaches another way: what it calls instead, which the device turns into them.
INSTEAD = {
    "convolution_overrideable": "convolution",
    "convolution_backward_overrideable": "convolution_backward",
    "_index_put_impl_": "index_put",
}


def overload_of(name):
    """The overload that the dispatcher knows as aten::`name`."""
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


@dataclass(frozen=True)
class SampleCall:
    """One call of an aten overload with CPU tensors."""

    overload: torch._ops.OpOverload
    args: tuple
    kwargs: dict

    def moved(self, change):
        """The same arguments with `change` applied to every tensor; (args, kwargs)."""
        return tree_map(lambda x: change(x) if isinstance(x, torch.Tensor) else x, (self.args, self.kwargs))


class _Recorder(TorchDispatchMode):
    """Keeps the calls of all overloads as they were before the call changed anything."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        call = SampleCall(func, args, kwargs or {})
        self.calls.append(SampleCall(func, *call.moved(lambda x: x.detach().clone())))
        return func(*args, **call.kwargs)


def _public_names(base):
    """Last parts of names under which the public function above aten operator `base` may be known."""
    endings = r"_(backward|backward_data|forward|with_indices|with_indices_backward)$"
    names = {base, base.strip("_")}
    names |= {re.sub(endings, "", name) for name in names}
    names |= {source for name in names for source in SOURCES.get(name, ())}
    return names | {re.sub(r"^(native|linalg|special)_", "", name) for name in names}


@functools.lru_cache(maxsize=None)  # noqa: UP033  (cache is newer than Python 3.8)
def functions_above(base):
    """Indices in op_db (its entries cannot be hashed) of the functions that reach `base`, e.g. "_softmax"."""
    names = _public_names(base)
    return tuple(
        index
        for index, op in enumerate(op_db)
        if not names.isdisjoint({op.name, op.name.split(".")[-1], op.aten_name})
    )


@functools.lru_cache(maxsize=None)  # noqa: UP033  (cache is newer than Python 3.8)
def _recorded(index, dtype):
    """All calls below one function of op_db, over its samples in one dtype; in float32 also of backward."""
    op = op_db[index]
    recorder = _Recorder()
    backward = op.supports_autograd and dtype is torch.float32
    samples = op.sample_inputs("cpu", dtype, requires_grad=backward)
    for sample in itertools.islice(samples, SAMPLES_PER_FUNCTION):
        with recorder:
            result = op(sample.input, *sample.args, **sample.kwargs)
            outputs = [x for x in tensors_of(result) if x.requires_grad]
            if outputs:
                torch.autograd.backward(outputs, [torch.ones_like(x) for x in outputs])
    if isinstance(op, BinaryUfuncInfo) and not op.name.startswith(
        "bitwise"
    ):  # torch 2.1 replays no such call
        _record_scalars(op, dtype, recorder)
    return tuple(recorder.calls)


def _record_scalars(op, dtype, recorder):
    """Calls with a number for one operand, which sample_inputs leaves out."""
    x = make_tensor((3, 4), dtype=dtype, device="cpu", low=1, high=5)
    number = True if dtype is torch.bool else 3
    with recorder:
        if op.supports_rhs_python_scalar:
            op(x, number)
        if op.supports_one_python_scalar:
            op(number, x)


def call_of(name, *args, **kwargs):
    """A call of the overload called `name`, e.g. "clamp" or "norm.ScalarOpt_dim"."""
    return SampleCall(overload_of(name), args, kwargs)


RAMP = torch.linspace(-2, 2, 12).reshape(3, 4)

#: Calls that no sample makes on the CPU, which computes these functions in other ways.
EXTRA_CALLS = (
    call_of("clamp", RAMP, -1.0, 1.0),
    call_of("clamp", RAMP, None, 0.5),
    call_of("clamp_min", RAMP, 0.5),
    call_of("clamp_max", RAMP, 0.5),
    call_of("conj_physical", torch.complex(RAMP, -RAMP)),
    call_of("fill.Tensor", RAMP, torch.tensor(3.0)),
    call_of("zero_", RAMP),
    call_of("isfinite", torch.tensor([1.0, float("nan"), float("inf"), -float("inf")])),
    *(
        call_of(f"isin.{form}", *operands, invert=invert)
        for form, operands in (
            ("Tensor_Scalar", (RAMP, RAMP[0, 1].item())),
            ("Scalar_Tensor", (RAMP[0, 1].item(), RAMP)),
            ("Tensor_Tensor", (RAMP, torch.tensor([float("nan"), RAMP[0, 1].item(), float("inf")]))),
            ("Tensor_Tensor", (torch.tensor([1.0, float("nan")]), torch.tensor([1, 2]))),
            ("Tensor_Tensor", (RAMP, torch.tensor([]))),
        )
        for invert in (False, True)
    ),
    call_of("searchsorted.Tensor", torch.arange(4), RAMP, side="right"),
    call_of("index_fill_.int_Tensor", RAMP, 1, torch.tensor([0, 2]), torch.tensor(3.0)),
    *(call_of("norm.ScalarOpt_dim", RAMP, p, [1]) for p in (None, 1, 2, float("inf"))),
    call_of("_amp_foreach_non_finite_check_and_unscale_", [RAMP], torch.zeros(1), torch.ones(1)),
    call_of("_amp_update_scale_", torch.ones(1), torch.ones(1).int(), torch.zeros(1), 2.0, 0.5, 3),
)


def calls_reaching(overload, dtype):
    """Calls in `dtype` that end in `overload` on the device: its own, or those of its functional form."""
    base = overload.overloadpacket.__name__
    wanted = INSTEAD.get(base, base if base.endswith("__") else base.rstrip("_"))
    extra = EXTRA_CALLS if dtype is torch.float32 else ()
    pool = (_recorded(index, dtype) for index in functions_above(wanted) if dtype in op_db[index].dtypes)
    found = [
        call
        for call in itertools.chain(extra, *pool)
        if call.overload.overloadpacket.__name__ in (wanted, base)
        and (base in INSTEAD or input_types(call.overload) == input_types(overload))
    ]
    step = max(1, len(found) // CALLS_PER_OVERLOAD)
    return found[::step][:CALLS_PER_OVERLOAD]


def tensors_of(result):
    """All tensors in a result, whatever lists and tuples it is made of."""
    return [x for x in tree_flatten(result)[0] if isinstance(x, torch.Tensor)]


def out_names(overload):
    """Names of the arguments that an out= overload writes; empty for other overloads."""
    return [argument.name for argument in overload._schema.arguments if argument.is_out]


def input_types(overload):
    """Names and types of the arguments that are no outputs: equal for the forms of one operator."""
    return [
        (argument.name, str(argument.type)) for argument in overload._schema.arguments if not argument.is_out
    ]
