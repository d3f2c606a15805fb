"""Functions as graphs: what torch.npu.make_graphed_callables makes of them.

A forward graph and a backward graph of each, captured in an order that lets them share a pool: all forwards,
then the backwards from the last to the first. A call copies its arguments to where the graph reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence, Tuple

import torch
from torch.utils import _pytree

from torch_npu.npu.devices import synchronize
from torch_npu.npu.graphs import NPUGraph, Pool, graph
from torch_npu.npu.streams import Stream, current_stream, stream

_Tensors = Tuple[torch.Tensor, ...]


@dataclass
class _Captured:
    """One function: the tensors that its graphs read and write."""

    function: Any
    arguments: _Tensors  # of the call
    inputs: _Tensors  # the arguments, and a module's parameters
    shape: Any  # how the result is put together
    outputs: _Tensors = ()
    grad_outputs: tuple[torch.Tensor | None, ...] = ()
    grad_inputs: tuple[torch.Tensor | None, ...] = ()
    forward: NPUGraph | None = None
    backward: NPUGraph | None = None


def graphed(
    functions: Sequence[Any], samples: Sequence[Any], warmups: int, allow_unused: bool, pool: Pool
) -> tuple[Any, ...]:
    if torch.npu.is_autocast_enabled() and torch.is_autocast_cache_enabled():
        raise RuntimeError(
            "make_graphed_callables: autocast keeps casts beyond a graph; use cache_enabled=False"
        )
    every = [_begun(*pair) for pair in zip(functions, samples)]  # noqa: B905  (Python 3.9)
    synchronize()
    side = Stream()
    side.wait_stream(current_stream())
    with stream(side):
        for one in every:
            for _ in range(warmups):
                _warm_up(one, allow_unused)
    current_stream().wait_stream(side)
    synchronize()
    for one in every:
        _capture_forward(one, pool)
    for one in reversed(every):
        _capture_backward(one, pool, allow_unused)
    return tuple(_callable(one) for one in every)


def _begun(function: Any, sample: Any) -> _Captured:
    if isinstance(function, torch.nn.Module):
        hooks = (function._backward_hooks, function._forward_hooks, function._forward_pre_hooks)
        if any(hooks):
            raise RuntimeError(
                "make_graphed_callables: expected a module without hooks; register them on what it returns"
            )
    arguments, _ = _pytree.tree_flatten(sample)
    if not all(isinstance(argument, torch.Tensor) for argument in arguments):
        raise TypeError("make_graphed_callables: expected sample_args of tensors alone")
    parameters = tuple(function.parameters()) if isinstance(function, torch.nn.Module) else ()
    return _Captured(function, tuple(arguments), (*arguments, *parameters), None)


def _run(one: _Captured) -> tuple[_Tensors, Any]:
    outputs, shape = _pytree.tree_flatten(one.function(*one.arguments))
    return tuple(outputs), shape


def _with_gradient(tensors: Sequence[torch.Tensor]) -> _Tensors:
    return tuple(tensor for tensor in tensors if tensor.requires_grad)


def _gradients(
    one: _Captured, outputs: _Tensors, grads: Sequence[torch.Tensor | None], allow_unused: bool
) -> tuple[torch.Tensor | None, ...]:
    """Of the inputs that have one; of outputs that have none nothing comes."""
    return torch.autograd.grad(
        outputs=_with_gradient(outputs),
        inputs=_with_gradient(one.inputs),
        grad_outputs=tuple(grad for grad in grads if grad is not None),
        only_inputs=True,
        allow_unused=allow_unused,
    )


def _ones(outputs: _Tensors) -> tuple[torch.Tensor | None, ...]:
    return tuple(torch.empty_like(output) if output.requires_grad else None for output in outputs)


def _warm_up(one: _Captured, allow_unused: bool) -> None:
    outputs, _ = _run(one)
    if _with_gradient(outputs) and _with_gradient(one.inputs):
        _gradients(one, outputs, _ones(outputs), allow_unused)


def _capture_forward(one: _Captured, pool: Pool) -> None:
    one.forward = NPUGraph()
    with graph(one.forward, pool=pool):
        one.outputs, one.shape = _run(one)


def _capture_backward(one: _Captured, pool: Pool, allow_unused: bool) -> None:
    one.grad_outputs = _ones(one.outputs)
    if not _with_gradient(one.outputs) or not _with_gradient(one.inputs):
        return
    one.backward = NPUGraph()
    with graph(one.backward, pool=pool):
        found = iter(_gradients(one, one.outputs, one.grad_outputs, allow_unused))
    one.grad_inputs = tuple(next(found) if tensor.requires_grad else None for tensor in one.inputs)


def _function_of(one: _Captured) -> Any:
    forward, backward = one.forward, one.backward

    class Graphed(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, *inputs: torch.Tensor) -> Any:
            assert forward is not None
            for place, given in zip(one.arguments, inputs):  # noqa: B905
                if place.data_ptr() != given.data_ptr():
                    place.copy_(given)
            forward.replay()
            return tuple(output.detach() for output in one.outputs)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context: Any, *grads: torch.Tensor) -> Any:
            if backward is None:
                raise RuntimeError("this graphed callable has no gradient: its sample_args need none")
            for place, grad in zip(one.grad_outputs, grads):  # noqa: B905
                if place is not None and place.data_ptr() != grad.data_ptr():
                    place.copy_(grad)
            backward.replay()
            return tuple(grad.detach() if grad is not None else None for grad in one.grad_inputs)

    return Graphed


def _callable(one: _Captured) -> Any:
    apply = _function_of(one).apply
    parameters = one.inputs[len(one.arguments) :]

    def call(*arguments: Any) -> Any:
        given, _ = _pytree.tree_flatten(arguments)
        return _pytree.tree_unflatten(apply(*given, *parameters), one.shape)

    if not isinstance(one.function, torch.nn.Module):
        return call
    module, training, plain = one.function, one.function.training, one.function.forward

    def forward(*arguments: Any, **named: Any) -> Any:
        # The graph holds what the module did in this mode.
        return call(*arguments) if module.training == training and not named else plain(*arguments, **named)

    module.forward = forward
    return module
