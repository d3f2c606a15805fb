"""How much of PyTorch's own operator database is right on the device, and how much of it is native.

    cann-simulator run -- python adapter/tests/opinfo_coverage.py [--dtypes float32,int64] [--samples 10]
        [--only NAME]... [--json FILE] [--list]

Each entry of torch.testing's op_db is one case per dtype that the chip has and the entry takes, so that
the denominator is fixed for a torch version. A case is *correct* when its samples agree with the CPU,
operators that run there included, and *native* when none of it ran on the CPU. Forward and backward count
apart. `--list` names the operators that ran on the CPU, those that most cases wait for first, and why the
other cases are not correct. Exit code 1 when a case is not correct.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch_npu  # noqa: F401  (the backend)
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_map

#: The dtypes that CANN's operators compute with on the chip.
DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
)
TOLERANCE = {torch.float16: 2e-2, torch.bfloat16: 8e-2, torch.float32: 2e-3, torch.complex64: 2e-3}
#: Where torch itself is the reason: the sample cannot be moved to another device, or names the CPU.
NOT_MOVABLE = {"tensor_split": "its tensor of indices must be on the CPU"}


@dataclass
class Case:
    """One entry in one dtype, forward or backward."""

    name: str
    dtype: str
    backward: bool
    problem: str = ""
    on_cpu: set[str] = field(default_factory=set)

    @property
    def native(self) -> bool:
        return not self.problem and not self.on_cpu


def moved(value, device):
    def move(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return leaf.detach().to(device).requires_grad_(leaf.requires_grad)

    return tree_map(move, value)


def call(op, sample, device, backward):
    """The tensors that one call gives, or the gradients of its inputs."""
    x, args, kwargs = moved((sample.input, sample.args, sample.kwargs), device)
    if device != "cpu" and "device" in kwargs:
        kwargs = {**kwargs, "device": device}
    torch.manual_seed(0)
    result = op(x, *args, **kwargs)
    if sample.output_process_fn_grad is not None and backward:
        result = sample.output_process_fn_grad(result)
    outputs = [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, torch.Tensor)]
    if not backward:
        return outputs
    differentiable = [leaf for leaf in outputs if leaf.requires_grad]
    inputs = [leaf for leaf in tree_flatten((x, args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    inputs = [leaf for leaf in inputs if leaf.requires_grad]
    if not differentiable or not inputs:
        return []
    ones = [torch.ones_like(leaf) for leaf in differentiable]
    gradients = torch.autograd.grad(differentiable, inputs, ones, allow_unused=True)
    return [leaf for leaf in gradients if leaf is not None]


def same(ours, theirs, only_shapes):
    if len(ours) != len(theirs):
        return f"{len(ours)} results instead of {len(theirs)}"
    for one, other in zip(ours, theirs):  # noqa: B905  (Python 3.9)
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            return f"{one.dtype}{list(one.shape)} instead of {other.dtype}{list(other.shape)}"
        if only_shapes or other.layout is not torch.strided:
            continue
        tolerance = TOLERANCE.get(other.dtype, 1e-6)
        if not torch.allclose(one.detach().cpu(), other.detach(), tolerance, tolerance, equal_nan=True):
            return "other values"
    return ""


def counts():
    return collections.Counter(json.loads(torch.ops.torch_npu.fallback_counts()))


def expected_of(op, sample, backward):
    """What the CPU gives, and whether it is random; None where the CPU itself refuses the sample."""
    try:
        first = call(op, sample, "cpu", backward)
        return first, op.name in RANDOM
    except Exception:
        return None, False


#: What draws random numbers, or leaves memory as it was: only shapes and dtypes can be compared.
UNCERTAIN = """
    bernoulli cauchy exponential geometric log_normal multinomial normal uniform rand_like randn_like randint
    randint_like randn empty empty_like empty_strided empty_permuted new_empty new_empty_strided svd_lowrank
    pca_lowrank resize_ resize_as_ nn.functional.rrelu nn.functional.fractional_max_pool2d
    nn.functional.fractional_max_pool3d nn.functional.scaled_dot_product_attention
"""
RANDOM = {op.name for op in op_db if "random" in op.name or "dropout" in op.name} | set(UNCERTAIN.split())


def run(op, dtype, backward, limit):
    """The case of one entry."""
    case = Case(
        op.name + (f".{op.variant_test_name}" if op.variant_test_name else ""), str(dtype)[6:], backward
    )
    if op.name in NOT_MOVABLE:
        return None
    before = counts()
    try:
        samples = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=backward), limit))
    except Exception:
        return None
    ran = False
    for sample in samples:
        expected, is_random = expected_of(op, sample, backward)
        if expected is None:
            continue
        ran = True
        try:
            case.problem = same(call(op, sample, "npu", backward), expected, is_random)
        except Exception as error:
            case.problem = f"{type(error).__name__}: {str(error).splitlines()[0][:140]}"
        if case.problem:
            break
    case.on_cpu = {name for name, count in counts().items() if count > before[name]}
    return case if ran else None


def cases(options):
    for op in op_db:
        if options.only and op.name not in options.only:
            continue
        for name in options.dtypes.split(","):
            dtype = getattr(torch, name)
            for backward in (False, True):
                if backward and not (op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")):
                    continue
                if dtype in op.supported_dtypes("cpu"):
                    case = run(op, dtype, backward, options.samples)
                    if case is not None:
                        yield case


def share(part, whole):
    return f"{part:5d} of {whole} ({100 * part / max(whole, 1):.1f} %)"


def report(done, shown):
    for backward in (False, True):
        group = [case for case in done if case.backward is backward]
        print("backward" if backward else "forward")
        print(f"  correct: {share(sum(not case.problem for case in group), len(group))}")
        print(f"  native:  {share(sum(case.native for case in group), len(group))}")
    if not shown:
        return
    waited = collections.Counter(name for case in done for name in case.on_cpu)
    print("\noperators that ran on the CPU, by the cases that they keep from being native:")
    for name, count in waited.most_common():
        print(f"  {count:5d}  {name}")
    print("\ncases that are not correct:")
    for case in done:
        if case.problem:
            print(f"  {case.name} {case.dtype}{' backward' if case.backward else ''}: {case.problem}")


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--dtypes", default=",".join(DTYPES), help="comma-separated (default: all of the chip)"
    )
    parser.add_argument(
        "--samples", type=int, default=10, help="at most so many samples per case (default 10)"
    )
    parser.add_argument("--only", action="append", help="an entry of op_db; may be given several times")
    parser.add_argument("--json", help="write every case there")
    parser.add_argument("--list", action="store_true", help="say what is left, with its reason")
    options = parser.parse_args(words)
    warnings.simplefilter("ignore")
    torch.ops.torch_npu.set_fallback("silent")
    done = list(cases(options))
    if options.json:
        rows = [{**vars(case), "on_cpu": sorted(case.on_cpu), "native": case.native} for case in done]
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    report(done, options.list)
    return 1 if any(case.problem for case in done) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
