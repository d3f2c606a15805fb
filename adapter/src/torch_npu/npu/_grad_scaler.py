"""GradScaler for torch before 2.3, whose only scaler insists on CUDA tensors."""

from typing import Any, Dict, Iterable, List, Set, Union

import torch

from torch_npu import _native

Outputs = Union[torch.Tensor, Iterable[Any]]


class GradScaler:
    """Scales the loss so that float16 gradients do not vanish, and skips steps whose gradients overflowed.

    The interface is that of torch.amp.GradScaler: `scale(loss).backward()`, optionally `unscale_(optimizer)`,
    `step(optimizer)`, `update()`. The scale grows by `growth_factor` after `growth_interval` steps without an
    overflow and shrinks by `backoff_factor` after one.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if growth_factor <= 1.0:
            raise ValueError(f"growth_factor must be greater than 1, got {growth_factor}")
        if not 0.0 < backoff_factor < 1.0:
            raise ValueError(f"backoff_factor must be between 0 and 1, got {backoff_factor}")
        self._enabled = enabled
        self._scale = float(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._overflowed: Dict[int, bool] = {}  # by optimizer, since the last update
        self._stepped: Set[int] = set()

    def is_enabled(self) -> bool:
        """Whether this scaler does anything."""
        return self._enabled

    def get_scale(self) -> float:
        """The factor on the loss; 1 when disabled."""
        return self._scale if self._enabled else 1.0

    def scale(self, outputs: Outputs) -> Any:
        """Multiply a tensor, or every tensor of a nested list or tuple, by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, torch.Tensor):
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(output) for output in outputs)
        raise ValueError(f"scale takes a tensor or a list or tuple of tensors, got {type(outputs).__name__}")

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients of `optimizer` by the scale, e.g. to clip them before `step`."""
        if not self._enabled:
            return
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_() was called after step(); call update() first")
        if id(optimizer) in self._overflowed:
            raise RuntimeError("unscale_() was already called on this optimizer since the last update()")
        gradients = _gradients(optimizer)
        if any(gradient.dtype == torch.float16 for gradient in gradients):
            raise ValueError("attempting to unscale float16 gradients: keep the parameters in float32")
        for gradient in gradients:
            if gradient.device.type == "npu":
                _native.warn_where_saturating(gradient.device.index)
            gradient.mul_(1.0 / self._scale)
        self._overflowed[id(optimizer)] = not _all_finite(gradients)

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Unscale if that was not done, then `optimizer.step()` unless a gradient overflowed (None then)."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if id(optimizer) in self._stepped:
            raise RuntimeError("step() was already called since the last update()")
        if id(optimizer) not in self._overflowed:
            self.unscale_(optimizer)
        self._stepped.add(id(optimizer))
        return None if self._overflowed[id(optimizer)] else optimizer.step(*args, **kwargs)

    def update(self) -> None:
        """Adjust the scale after the steps of one iteration."""
        if not self._enabled:
            return
        if not self._overflowed:
            raise RuntimeError("no gradient was checked since the last update(); call step() before update()")
        if any(self._overflowed.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale *= self._growth_factor
                self._growth_tracker = 0
        self._overflowed.clear()
        self._stepped.clear()

    def state_dict(self) -> Dict[str, Any]:
        """What load_state_dict needs, under the names of torch.amp.GradScaler."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Restore what state_dict returned, of this class or of torch.amp.GradScaler."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("the state is empty: it was saved by a disabled GradScaler")
        self._scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]


def _gradients(optimizer: torch.optim.Optimizer) -> List[torch.Tensor]:
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _all_finite(gradients: List[torch.Tensor]) -> bool:
    """One transfer per device rather than one per gradient."""
    verdicts: Dict[torch.device, torch.Tensor] = {}
    for gradient in gradients:
        finite = torch.isfinite(gradient).all()
        known = verdicts.get(gradient.device)
        verdicts[gradient.device] = finite if known is None else known & finite
    return all(bool(verdict.item()) for verdict in verdicts.values())
