"""Mixed precision as programs for apex write it.

    from torch_npu import amp                                        # instead of: from apex import amp

    model, optimizer = amp.initialize(model.npu(), optimizer, opt_level="O2", loss_scale="dynamic")
    with amp.scale_loss(loss, optimizer) as scaled:
        scaled.backward()
    optimizer.step()

| level | parameters | computed in |
| --- | --- | --- |
| O0 | float32 | float32 |
| O1 | as they are | each operator's own precision, by torch.autocast |
| O2 | float16, batch normalization float32; the optimizer trains float32 copies | float16 |
| O3 | float16 | float16 |

A step whose gradients are inf or nan is left out, and a dynamic scale is halved then; it doubles after 2,000
steps without one. New programs are better off with `torch.autocast("npu")` and `torch.npu.amp.GradScaler`.
"""

from __future__ import annotations

import copy
import functools
import types
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Iterator, List, Optional, Union

import torch
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["initialize", "load_state_dict", "master_params", "scale_loss", "state_dict"]

_GROWTH_INTERVAL = 2000


@dataclass(frozen=True)
class _Level:
    """What an opt_level does, under the names of apex's properties."""

    cast_model_type: Optional[torch.dtype] = None
    patch_torch_functions: bool = False
    keep_batchnorm_fp32: bool = False
    master_weights: bool = False
    loss_scale: Union[float, str] = 1.0


_LEVELS = {
    "O0": _Level(cast_model_type=torch.float32),
    "O1": _Level(patch_torch_functions=True, loss_scale="dynamic"),
    "O2": _Level(torch.float16, keep_batchnorm_fp32=True, master_weights=True, loss_scale="dynamic"),
    "O3": _Level(cast_model_type=torch.float16),
}


class _Scaler:
    """The factor on one loss."""

    def __init__(self, given: Union[float, str], lowest: Optional[float], highest: float) -> None:
        self.dynamic = given == "dynamic"
        self.lowest, self.highest = lowest, highest
        self.scale = min(highest, 2.0**16) if self.dynamic else float(given)
        self.unskipped = 0

    def update(self, overflowed: bool) -> None:
        """Adapt a dynamic scale after a backward pass."""
        if overflowed:
            self.scale = max(self.lowest or 0.0, self.scale / 2)
            self.unskipped = 0
            return
        self.unskipped += 1
        if self.dynamic and self.unskipped == _GROWTH_INTERVAL:
            self.scale = min(self.highest, self.scale * 2)
            self.unskipped = 0


@dataclass(frozen=True)
class _Pair:
    """A parameter of the model, and what the optimizer trains for it: a float32 copy, or itself."""

    model: torch.Tensor
    trained: torch.Tensor

    @property
    def copied(self) -> bool:
        return self.model is not self.trained


class _Handle:
    """What amp knows of one optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer, masters: bool) -> None:
        self.skip = False  # the next step, whose gradients overflowed
        self.pending = False  # gradients of a pass with delay_unscale are still scaled
        self.kept: Dict[int, torch.Tensor] = {}  # gradients that were there before the pass
        self.pairs = [
            pair for group in optimizer.param_groups for pair in self._prepare(optimizer, group, masters)
        ]
        self._step, self._zero_grad = optimizer.step, optimizer.zero_grad
        for name in ("step", "zero_grad"):  # bound methods: schedulers look for what they are bound to
            setattr(optimizer, name, types.MethodType(_bound(self, name), optimizer))
        optimizer._amp = self  # type: ignore[attr-defined]

    @staticmethod
    def _prepare(optimizer: torch.optim.Optimizer, group: Dict[str, Any], masters: bool) -> List[_Pair]:
        pairs = []
        for index, parameter in enumerate(group["params"]):
            trained = parameter
            if masters and parameter.dtype in (torch.float16, torch.bfloat16):
                trained = torch.nn.Parameter(parameter.detach().float(), parameter.requires_grad)
                group["params"][index] = trained
                if parameter in optimizer.state:
                    optimizer.state[trained] = optimizer.state.pop(parameter)
            pairs.append(_Pair(parameter, trained))
        return pairs

    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:
        """The optimizer's step, unless the gradients overflowed; then the model gets the trained values."""
        if closure is not None:
            raise RuntimeError(
                "amp: step(closure) cannot be scaled; call backward() in amp.scale_loss, then step()"
            )
        if self.skip:
            self.skip = False
            return None
        result = self._step()
        with torch.no_grad():
            for pair in self.pairs:
                if pair.copied:
                    pair.model.copy_(pair.trained)
        return result

    def zero_grad(self, *arguments: Any, **named: Any) -> None:
        """The optimizer's zero_grad, for the model's gradients too."""
        self.pending = False
        for pair in self.pairs:
            if pair.copied:
                pair.model.grad = None
        self._zero_grad(*arguments, **named)

    def before_backward(self) -> None:
        """Put gradients aside that are not scaled: those of an earlier pass, to which this one adds."""
        if self.pending:
            return
        self.kept = {}
        for pair in self.pairs:
            if pair.trained.grad is not None:
                self.kept[id(pair.trained)] = pair.trained.grad
            pair.model.grad = pair.trained.grad = None

    @torch.no_grad()
    def after_backward(self, scaler: _Scaler) -> bool:
        """Move the gradients to what is trained and divide them by the scale; whether one is inf or nan."""
        self.pending = False
        for pair in self.pairs:
            if pair.copied and pair.model.grad is not None:
                pair.trained.grad, pair.model.grad = pair.model.grad.float(), None
        overflowed = _unscale([pair.trained.grad for pair in self.pairs], scaler)
        for pair in self.pairs:
            earlier = self.kept.pop(id(pair.trained), None)
            if earlier is not None:
                if pair.trained.grad is not None:
                    earlier.add_(pair.trained.grad)
                pair.trained.grad = earlier
        self.skip = self.skip or overflowed
        return overflowed


def _bound(handle: _Handle, name: str) -> Callable[..., Any]:
    method = getattr(handle, name)

    def call(self: torch.optim.Optimizer, *arguments: Any, **named: Any) -> Any:
        return method(*arguments, **named)

    call.__name__ = name
    return call


def _unscale(gradients: List[Optional[torch.Tensor]], scaler: _Scaler) -> bool:
    kinds: Dict[Any, List[torch.Tensor]] = {}
    for gradient in gradients:
        if gradient is not None:
            kinds.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    found = []
    for (device, _), alike in kinds.items():
        flag = torch.zeros((), dtype=torch.float32, device=device)
        inverse = torch.full((), 1.0 / scaler.scale, dtype=torch.float32, device=device)
        torch._amp_foreach_non_finite_check_and_unscale_(alike, flag, inverse)
        found.append(flag)
    return scaler.dynamic and any(bool(flag) for flag in found)


#: One for each loss of the last initialize(); none where amp is off.
_scalers: List[_Scaler] = []


def initialize(
    models: Any,
    optimizers: Any = None,
    enabled: bool = True,
    opt_level: str = "O1",
    cast_model_type: Optional[torch.dtype] = None,
    patch_torch_functions: Optional[bool] = None,
    keep_batchnorm_fp32: Union[bool, str, None] = None,
    master_weights: Optional[bool] = None,
    loss_scale: Union[float, str, None] = None,
    cast_model_outputs: Optional[torch.dtype] = None,
    num_losses: int = 1,
    verbosity: int = 1,
    min_loss_scale: Optional[float] = None,
    max_loss_scale: float = 2.0**24,
    combine_grad: Optional[bool] = None,
    combine_ddp: Optional[bool] = None,
    **accepted: Any,
) -> Any:
    """Make models and optimizers compute in mixed precision; gives them in the form in which they came.

    Call it once, before DistributedDataParallel. `verbosity`, `combine_grad` and `combine_ddp` of apex for
    NPUs change no result and are accepted: gradients are unscaled in one operator, and the optimizers of
    torch_npu.optim combine them. Raises ValueError for a level or a value that does not exist.
    """
    returned = models if optimizers is None else (models, optimizers)
    if not enabled:
        _scalers.clear()
        return returned
    given = {
        "cast_model_type": cast_model_type,
        "patch_torch_functions": patch_torch_functions,
        "keep_batchnorm_fp32": _truth("keep_batchnorm_fp32", keep_batchnorm_fp32),
        "master_weights": master_weights,
        "loss_scale": _factor(loss_scale),
    }
    if opt_level not in _LEVELS:
        raise ValueError(f"amp: opt_level is one of {', '.join(_LEVELS)} (the letter O), got {opt_level!r}")
    level = replace(_LEVELS[opt_level], **{name: value for name, value in given.items() if value is not None})
    unknown = set(accepted) - _ACCEPTED
    if unknown:
        raise TypeError(f"amp.initialize: unexpected argument {sorted(unknown)[0]!r}")
    for optimizer in _several(optimizers):
        if hasattr(optimizer, "_amp"):
            raise RuntimeError(
                f"amp.initialize was given this {type(optimizer).__name__} before; call it once"
            )
    for model in _several(models):
        _cast(model, level, cast_model_outputs)
    handles = [_Handle(optimizer, level.master_weights) for optimizer in _several(optimizers)]
    for model in _several(models):
        _keep_float32_files(model, handles)
    _scalers[:] = [_Scaler(level.loss_scale, min_loss_scale, max_loss_scale) for _ in range(num_losses)]
    return returned


#: Settings of apex for NPUs that change how it works, and no result.
_ACCEPTED = {"ddp_replica_count", "check_combined_tensors", "user_cast_preferred"}


def _several(value: Any) -> List[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _truth(name: str, value: Union[bool, str, None]) -> Optional[bool]:
    known = {"True": True, "False": False, True: True, False: False, None: None}
    if value not in known:
        raise ValueError(f"amp: {name} is True or False, got {value!r}")
    return known[value]


def _factor(value: Union[float, str, None]) -> Union[float, str, None]:
    if value is None or value == "dynamic":
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not number > 0:
        raise ValueError(f'amp: loss_scale is "dynamic" or a positive number, got {value!r}')
    return number


# ---- the model


def _cast(model: torch.nn.Module, level: _Level, outputs: Optional[torch.dtype]) -> None:
    """Cast parameters and buffers, and let `forward` compute as the level says."""
    dtype = level.cast_model_type
    if dtype is not None:
        for module in model.modules():
            if not (level.keep_batchnorm_fp32 and isinstance(module, _BatchNorm)):
                _cast_own(module, dtype)
    forward = model.forward

    @functools.wraps(forward)
    def cast_forward(*arguments: Any, **named: Any) -> Any:
        if level.patch_torch_functions:
            from torch_npu.npu.amp import autocast

            with autocast():
                result = forward(*arguments, **named)
        else:
            result = forward(*_to(arguments, dtype), **_to(named, dtype))
        return _to(result, outputs or torch.float32)

    model.forward = cast_forward  # type: ignore[method-assign]


def _cast_own(module: torch.nn.Module, dtype: torch.dtype) -> None:
    for parameter in module.parameters(recurse=False):
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
            if parameter.grad is not None:
                parameter.grad = parameter.grad.to(dtype)
    for name, buffer in module.named_buffers(recurse=False):
        if buffer.is_floating_point():
            module._buffers[name] = buffer.to(dtype)


def _to(value: Any, dtype: Optional[torch.dtype]) -> Any:
    """The value, with its tensors of floating point in the dtype."""
    if dtype is None:
        return value
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        result = copy.copy(value)
        for name, one in value.items():
            result[name] = _to(one, dtype)
        return result
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_to(one, dtype) for one in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_to(one, dtype) for one in value)
    return value


def _keep_float32_files(model: torch.nn.Module, handles: List[_Handle]) -> None:
    """`state_dict` gives the trained float32 values, and `load_state_dict` fills them."""
    masters = {id(pair.model): pair.trained for handle in handles for pair in handle.pairs if pair.copied}
    copied = {name: masters[id(one)] for name, one in model.named_parameters() if id(one) in masters}
    if not copied:
        return

    def save(module: Any, state: Dict[str, Any], prefix: str, local_metadata: Any) -> None:
        for name in list(state):
            if not name.startswith(prefix):
                continue
            master = copied.get(name[len(prefix) :])
            if master is not None:
                state[name] = master.detach()
            elif isinstance(state[name], torch.Tensor) and state[name].dtype is torch.float16:
                state[name] = state[name].float()

    def load(state: Dict[str, Any], prefix: str, *others: Any) -> None:
        with torch.no_grad():
            for name, master in copied.items():
                value = state.get(prefix + name)
                if value is not None and value.shape == master.shape:
                    master.copy_(value)

    model._register_state_dict_hook(save)
    model._register_load_state_dict_pre_hook(load)


# ---- the loss


@contextmanager
def scale_loss(
    loss: Any,
    optimizers: Any,
    loss_id: int = 0,
    model: Any = None,
    delay_unscale: bool = False,
    **accepted: Any,
) -> Iterator[Any]:
    """Give the scaled loss, whose `backward()` is called in the block; after it the gradients are unscaled.

    With `delay_unscale` they stay scaled, for a pass that adds to them. Gradients that are there already, of
    an earlier pass, are added to.
    """
    if not _scalers:
        yield loss
        return
    if loss_id >= len(_scalers):
        raise ValueError(f"amp: loss_id {loss_id}, but initialize() was told num_losses={len(_scalers)}")
    scaler, handles = _scalers[loss_id], [_handle(one) for one in _several(optimizers)]
    for handle in handles:
        handle.before_backward()
    yield loss.float() * scaler.scale
    if delay_unscale:
        for handle in handles:
            handle.pending = True
        return
    overflowed = [handle.after_backward(scaler) for handle in handles]
    scaler.update(any(overflowed))
    if any(overflowed):
        for handle in handles:
            handle.skip = True
        warnings.warn(
            "amp: a gradient is inf or nan; the step is left out, "
            f"loss {loss_id} is now scaled by {scaler.scale:g}",
            RuntimeWarning,
            stacklevel=3,
        )


def _handle(optimizer: torch.optim.Optimizer) -> _Handle:
    handle = getattr(optimizer, "_amp", None)
    if not isinstance(handle, _Handle):
        kind = type(optimizer).__name__
        raise RuntimeError(f"amp.scale_loss: this {kind} was not given to amp.initialize(model, optimizer)")
    return handle


def master_params(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """What the optimizer trains, such as to clip its gradients between scale_loss and step."""
    for group in optimizer.param_groups:
        yield from group["params"]


def state_dict() -> Dict[str, Any]:
    """The scales, to save beside model and optimizer."""
    return {
        f"loss_scaler{index}": {"loss_scale": scaler.scale, "unskipped": scaler.unskipped}
        for index, scaler in enumerate(_scalers)
    }


def load_state_dict(state: Dict[str, Any]) -> None:
    """Go on with the scales of state_dict. Raises ValueError where it has another number of losses."""
    if len(state) != len(_scalers):
        raise ValueError(f"amp: the state is of {len(state)} losses, initialize() was told {len(_scalers)}")
    for index, scaler in enumerate(_scalers):
        saved = state[f"loss_scaler{index}"]
        scaler.scale, scaler.unskipped = float(saved["loss_scale"]), int(saved["unskipped"])
