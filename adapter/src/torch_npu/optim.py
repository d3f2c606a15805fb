"""Optimizers that update all parameters of a group and a dtype at once.

They give what PyTorch's optimizer of the same name gives; Lamb, AdamP, BertAdam and RMSpropTF, which it has
not, are in `_optim_rules`. The parameters are moved into one piece of memory, and so are their gradients: a
step is a handful of operators instead of a handful for each parameter.
`zero_grad` fills the gradients with zeros, so that they stay where they are; `zero_grad(set_to_none=True)`
works, and costs a copy of them in the next step.
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type

import torch

from . import _optim_rules as rules

__all__ = [
    "NpuFusedAdadelta",
    "NpuFusedAdam",
    "NpuFusedAdamP",
    "NpuFusedAdamW",
    "NpuFusedBertAdam",
    "NpuFusedLamb",
    "NpuFusedOptimizerBase",
    "NpuFusedRMSprop",
    "NpuFusedRMSpropTF",
    "NpuFusedSGD",
]

#: What NpuFusedSGD's learning rate is when none was given, as in the published package.
_REQUIRED: Any = object()


class _Place:
    """Where one parameter and its gradient lie: from the element `start` of a part on."""

    def __init__(
        self, parameter: torch.Tensor, start: int, values: torch.Tensor, gradients: torch.Tensor
    ) -> None:
        self.parameter, self.start = parameter, start
        self.strides = torch.empty_like(parameter, device="meta").stride()  # dense, in the parameter's order
        self.values, self.gradient = self.of(values), self.of(gradients)
        self.values.copy_(parameter)
        self.gradient.copy_(parameter.grad)
        parameter.data, parameter.grad = self.values, self.gradient

    def of(self, whole: torch.Tensor) -> torch.Tensor:
        """What this parameter has of a tensor of the whole part."""
        start = whole.storage_offset() + self.start
        return torch.as_strided(whole, self.parameter.shape, self.strides, start)

    def keeps(self) -> bool:
        """Whether the parameter is where it was put; a gradient that is not is copied there."""
        gradient = self.parameter.grad
        if gradient is None or self.parameter.data_ptr() != self.values.data_ptr():
            return False
        if gradient.data_ptr() != self.gradient.data_ptr():
            self.gradient.copy_(gradient)
            self.parameter.grad = self.gradient
        return True


class _Part:
    """Parameters that are updated as one: of one group, dtype and device, with the same number of steps."""

    def __init__(self, group: int, places: List[_Place], inner: torch.optim.Optimizer) -> None:
        self.group, self.places, self.inner = group, places, inner
        (self._whole,) = inner.param_groups[0]["params"]
        self._told = False
        if isinstance(inner, rules.Rule):
            inner.pieces = lambda whole: [place.of(whole) for place in places]

    @property
    def _state(self) -> Dict[str, Any]:
        return self.inner.state[self._whole]

    def step(self, group: Dict[str, Any], state: Dict[torch.Tensor, Dict[str, Any]]) -> None:
        """Update with the settings of the group, which a scheduler may have changed."""
        settings = self.inner.param_groups[0]
        settings.update((name, value) for name, value in group.items() if name != "params")
        if "foreach" in settings:
            settings["foreach"] = False  # there is one tensor
        self.inner.step()
        if not self._told:
            self.tell(state)

    def tell(self, state: Dict[torch.Tensor, Dict[str, Any]]) -> None:
        """Give every parameter its part of the state; tensors stay shared, numbers of steps are copied."""
        self._told = True
        for name, value in self._state.items():
            for place in self.places:
                shared = _is_spread(name, value)
                state[place.parameter][name] = place.of(value) if shared else copy.deepcopy(value)

    def take(self, state: Dict[torch.Tensor, Dict[str, Any]]) -> None:
        """Make the state of the whole from the parameters' own."""
        for name, value in state.get(self.places[0].parameter, {}).items():
            if not _is_spread(name, value):
                self._state[name] = copy.deepcopy(value)
                continue
            whole = torch.empty(self._whole.shape, dtype=value.dtype, device=self._whole.device)
            for place in self.places:
                place.of(whole).copy_(state[place.parameter][name])
            self._state[name] = whole


def _is_spread(name: str, value: Any) -> bool:
    """Whether a value of the state has an element for each of the parameter: all but the number of steps."""
    return name != "step" and isinstance(value, torch.Tensor)


class NpuFusedOptimizerBase(torch.optim.Optimizer):
    """What the optimizers below share: parameters and gradients that are neighbors in memory."""

    #: The optimizer that says how one tensor is updated: PyTorch's, or one of `_optim_rules`.
    rule: Type[torch.optim.Optimizer]
    #: Programs for NPUs ask for this.
    is_fused_optimizer = True

    def __init__(self, params: Any, default: Dict[str, Any]) -> None:
        complete = self.rule([torch.empty(0)], **default).defaults  # or its error, where one is out of range
        super().__init__(params, complete)
        self._forget()

    def _forget(self) -> None:
        self._parts: List[_Part] = []
        self._values: Dict[Any, torch.Tensor] = {}
        self._gradients: Dict[Any, torch.Tensor] = {}

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:  # type: ignore[override]
        """Update every parameter that has a gradient; gives what `closure`, run first, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._combine()
        self._prepare()
        for part in self._parts:
            part.step(self.param_groups[part.group], self.state)
        return loss

    def _prepare(self) -> None:
        """What a kind of optimizer does before a step, with all gradients in place."""

    @torch.no_grad()
    def zero_grad(self, set_to_none: bool = False) -> None:
        """Fill the gradients with zeros; `set_to_none` forgets them instead."""
        if set_to_none:
            for _, parameter in self._with_gradients():
                parameter.grad = None
            return
        self._combine()
        for gradients in self._gradients.values():
            gradients.zero_()

    @torch.no_grad()
    def clip_grad_norm_fused_(self, max_norm: float, norm_type: float = 2.0) -> torch.Tensor:
        """Scale all gradients so that their norm is at most `max_norm`; gives the norm that they had."""
        self._combine()
        gradients = list(self._gradients.values())
        if not gradients:
            return torch.tensor(0.0)
        norms = [
            torch.linalg.vector_norm(one.float(), norm_type).to(gradients[0].device) for one in gradients
        ]
        total = torch.linalg.vector_norm(torch.stack(norms), norm_type)
        factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for one in gradients:
            one.mul_(factor.to(one.device))
        return total

    def get_combined_params(self) -> List[torch.Tensor]:
        """The memory of the parameters, one tensor for each dtype and device; none before the first step."""
        return list(self._values.values())

    def get_combined_grads(self) -> List[torch.Tensor]:
        """The memory of all gradients, in the order of get_combined_params."""
        return list(self._gradients.values())

    def state_dict(self) -> Dict[str, Any]:
        """As that of PyTorch's optimizer of the same name, which can load it."""
        self._tell()
        return super().state_dict()

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Load what this class or PyTorch's optimizer of the same name has saved."""
        self._forget()
        super().load_state_dict(state_dict)

    def __getstate__(self) -> Dict[str, Any]:
        self._tell()
        return super().__getstate__()  # type: ignore[no-any-return, misc]

    def __setstate__(self, state: Dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget()

    def _tell(self) -> None:
        for part in self._parts:
            part.tell(self.state)

    def _with_gradients(self) -> Iterator[Tuple[int, Any]]:
        for index, group in enumerate(self.param_groups):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    yield index, parameter

    def _combine(self) -> None:
        """Put parameters with gradients side by side, unless they are already."""
        wanted = list(self._with_gradients())
        placed = [(part.group, place.parameter) for part in self._parts for place in part.places]
        same = {(group, id(parameter)) for group, parameter in wanted} == {
            (group, id(parameter)) for group, parameter in placed
        }
        if same and all(place.keeps() for part in self._parts for place in part.places):
            return
        self._tell()
        self._forget()
        kinds: Dict[Any, Dict[Any, List[torch.Tensor]]] = {}
        for index, parameter in wanted:
            if parameter.grad.layout is not torch.strided:
                raise RuntimeError(
                    f"{type(self).__name__} does not support sparse gradients; use torch.optim.SparseAdam"
                )
            state = self.state.get(parameter, {})
            alike = (index, bool(state), float(state.get("step") or 0))
            kind = (parameter.dtype, parameter.device)
            kinds.setdefault(kind, {}).setdefault(alike, []).append(parameter)
        for kind, members in kinds.items():
            self._lay_out(kind, members)

    def _lay_out(self, kind: Any, members: Dict[Any, List[torch.Tensor]]) -> None:
        dtype, device = kind
        size = sum(parameter.numel() for parameters in members.values() for parameter in parameters)
        values, gradients = (torch.empty(size, dtype=dtype, device=device) for _ in range(2))
        self._values[kind], self._gradients[kind] = values, gradients
        start = 0
        for (group, _, _), parameters in members.items():
            length = sum(parameter.numel() for parameter in parameters)
            whole = values.narrow(0, start, length)
            whole.grad = gradients.narrow(0, start, length)
            start += length
            places, taken = [], 0
            for parameter in parameters:
                places.append(_Place(parameter, taken, whole, whole.grad))
                taken += parameter.numel()
            part = _Part(group, places, self.rule([whole], lr=self.defaults["lr"]))
            part.take(self.state)
            self._parts.append(part)


class NpuFusedSGD(NpuFusedOptimizerBase):
    """torch.optim.SGD, all parameters at once."""

    rule = torch.optim.SGD

    def __init__(
        self,
        params: Any,
        lr: float = _REQUIRED,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if lr is _REQUIRED:
            raise TypeError("NpuFusedSGD needs a learning rate: NpuFusedSGD(parameters, lr=0.1)")
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening}
        super().__init__(params, {**settings, "weight_decay": weight_decay, "nesterov": nesterov})


class NpuFusedAdam(NpuFusedOptimizerBase):
    """torch.optim.Adam, all parameters at once."""

    rule: Type[torch.optim.Optimizer] = torch.optim.Adam

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps}
        super().__init__(params, {**settings, "weight_decay": weight_decay, "amsgrad": amsgrad})


class NpuFusedAdamW(NpuFusedAdam):
    """torch.optim.AdamW, all parameters at once."""

    rule = torch.optim.AdamW

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class NpuFusedAdadelta(NpuFusedOptimizerBase):
    """torch.optim.Adadelta, all parameters at once."""

    rule = torch.optim.Adadelta

    def __init__(
        self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay})


class NpuFusedRMSprop(NpuFusedOptimizerBase):
    """torch.optim.RMSprop, all parameters at once."""

    rule = torch.optim.RMSprop

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "momentum": momentum, "centered": centered})


class NpuFusedRMSpropTF(NpuFusedOptimizerBase):
    """RMSprop as TensorFlow computes it, all parameters at once."""

    rule = rules.RMSpropTF

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.9,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        decoupled_decay: bool = False,
        lr_in_momentum: bool = True,
    ) -> None:
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        kinds = {"centered": centered, "decoupled_decay": decoupled_decay, "lr_in_momentum": lr_in_momentum}
        super().__init__(params, {**settings, **kinds})


class NpuFusedAdamP(NpuFusedOptimizerBase):
    """AdamP, all parameters at once; each is projected by itself."""

    rule = rules.AdamP

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        nesterov: bool = False,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "delta": delta, "wd_ratio": wd_ratio, "nesterov": nesterov})


class NpuFusedBertAdam(NpuFusedOptimizerBase):
    """Adam as BERT was trained, all parameters at once; the gradients of a group are clipped as one."""

    rule = rules.BertAdam

    def __init__(
        self,
        params: Any,
        lr: float = _REQUIRED,
        warmup: float = -1,
        t_total: int = -1,
        schedule: str = "warmup_linear",
        b1: float = 0.9,
        b2: float = 0.999,
        e: float = 1e-6,
        weight_decay: float = 0.01,
        max_grad_norm: float = 1.0,
    ) -> None:
        if lr is _REQUIRED:
            raise TypeError("NpuFusedBertAdam needs a learning rate: NpuFusedBertAdam(parameters, lr=1e-4)")
        settings = {"lr": lr, "schedule": schedule, "warmup": warmup, "t_total": t_total, "b1": b1, "b2": b2}
        super().__init__(
            params, {**settings, "e": e, "weight_decay": weight_decay, "max_grad_norm": max_grad_norm}
        )


class NpuFusedLamb(NpuFusedOptimizerBase):
    """Lamb, all parameters at once; each has a trust ratio of its own.

    `adam` takes 1 for every trust ratio; `use_global_grad_norm` divides all gradients by the norm that they
    have together, where that is above 1.
    """

    rule = rules.Lamb

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        adam: bool = False,
        use_global_grad_norm: bool = False,
    ) -> None:
        self.adam, self.use_global_grad_norm = adam, use_global_grad_norm
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def __getstate__(self) -> Dict[str, Any]:
        return {
            **super().__getstate__(),
            "adam": self.adam,
            "use_global_grad_norm": self.use_global_grad_norm,
        }

    def _prepare(self) -> None:
        norm = None
        if self.use_global_grad_norm and self._gradients:
            norms = [torch.linalg.vector_norm(one.float()) for one in self._gradients.values()]
            norm = torch.linalg.vector_norm(torch.stack([one.to(norms[0].device) for one in norms]))
        for part in self._parts:
            part.inner.param_groups[0].update(adam=self.adam, global_grad_norm=norm)
