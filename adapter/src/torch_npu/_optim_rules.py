"""How the optimizers of `torch_npu.optim` that PyTorch has none of update one tensor.

Each is an optimizer of the plain kind. A tensor may hold several parameters: `pieces` then gives a view of
each, for rules that ask for a norm or a shape of one parameter. Nothing here waits for the device.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch

__all__ = ["AdamP", "BertAdam", "Lamb", "RMSpropTF", "Rule"]

#: The views of the parameters that a tensor of the size of the whole holds.
Pieces = Callable[[torch.Tensor], List[torch.Tensor]]


class Rule(torch.optim.Optimizer):
    """Hands each tensor, its gradient, its state and the settings to `update`.

    The state begins with a tensor of zeros for each of `names`.
    """

    pieces: Pieces = staticmethod(lambda whole: [whole])  # type: ignore[assignment]
    names: Tuple[str, ...] = ()

    def __init__(self, params: Any, **settings: Any) -> None:
        for name, value in settings.items():
            if name in ("lr", "eps", "weight_decay", "momentum", "alpha") and not value >= 0.0:
                raise ValueError(f"Invalid {_WORDS.get(name, name)} value: {value}")
        for index, beta in enumerate(settings.get("betas", ())):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        super().__init__(params, settings)

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:  # type: ignore[override]
        """Update every tensor that has a gradient."""
        for settings, tensor in self._tensors():
            state = self.state[tensor]
            if not state:
                state["step"] = 0
                state.update(self.begin(tensor, settings))
            state["step"] += 1
            self.update(tensor, tensor.grad, state, settings)

    def _tensors(self) -> Iterator[Tuple[Dict[str, Any], Any]]:
        for settings in self.param_groups:
            for tensor in settings["params"]:
                if tensor.grad is not None:
                    yield settings, tensor

    def begin(self, tensor: torch.Tensor, settings: Dict[str, Any]) -> Dict[str, torch.Tensor]:
        """The state before the first step."""
        return {name: torch.zeros_like(tensor) for name in self.names}

    def update(
        self, tensor: torch.Tensor, gradient: torch.Tensor, state: Dict[str, Any], settings: Dict[str, Any]
    ) -> None:
        """Change the tensor and its state by one step."""
        raise NotImplementedError


_WORDS = {"lr": "learning rate", "eps": "epsilon"}


def _moments(gradient: torch.Tensor, state: Dict[str, Any], betas: Tuple[float, float]) -> None:
    """The running averages of the gradient and of its square."""
    state["exp_avg"].mul_(betas[0]).add_(gradient, alpha=1 - betas[0])
    state["exp_avg_sq"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])


class Lamb(Rule):
    """You et al., "Large Batch Optimization for Deep Learning", without a correction of the averages' bias.

    `global_grad_norm` is a tensor of one number, by which gradients are divided where it is above 1; `adam`
    leaves the trust ratio out.
    """

    names = ("exp_avg", "exp_avg_sq")
    _LARGEST_NORM = 10.0

    def update(
        self, tensor: torch.Tensor, gradient: torch.Tensor, state: Dict[str, Any], settings: Dict[str, Any]
    ) -> None:
        """See Rule."""
        if settings.get("global_grad_norm") is not None:
            gradient = gradient / settings["global_grad_norm"].to(gradient.device).clamp(min=1.0)
        _moments(gradient, state, settings["betas"])
        change = state["exp_avg"] / state["exp_avg_sq"].sqrt().add_(settings["eps"])
        if settings["weight_decay"] != 0:
            change.add_(tensor, alpha=settings["weight_decay"])
        if not settings.get("adam"):
            for parameter, piece in zip(self.pieces(tensor), self.pieces(change)):  # noqa: B905  (Python 3.9)
                weight = torch.linalg.vector_norm(parameter).clamp(max=self._LARGEST_NORM)
                length = torch.linalg.vector_norm(piece)
                usable = (weight > 0) & (length > 0)
                piece.mul_(torch.where(usable, weight / length, torch.ones_like(weight)))
        tensor.add_(change, alpha=-settings["lr"])


class AdamP(Rule):
    """Heo et al., "AdamP: Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant Weights".

    Where the gradient stands on the parameter, what of a step only lengthens that is left out, and it decays
    by `wd_ratio` of `weight_decay`.
    """

    names = ("exp_avg", "exp_avg_sq")

    def update(
        self, tensor: torch.Tensor, gradient: torch.Tensor, state: Dict[str, Any], settings: Dict[str, Any]
    ) -> None:
        """See Rule."""
        beta1, beta2 = settings["betas"]
        _moments(gradient, state, settings["betas"])
        corrected = math.sqrt(1 - beta2 ** state["step"])
        denominator = (state["exp_avg_sq"].sqrt() / corrected).add_(settings["eps"])
        average = state["exp_avg"]
        if settings["nesterov"]:
            average = beta1 * average + (1 - beta1) * gradient
        change = average / denominator
        decay = torch.ones_like(tensor)
        whole = (tensor, gradient, change, decay)
        for parameter, slope, piece, ratio in zip(*map(self.pieces, whole)):  # noqa: B905  (Python 3.9)
            if parameter.dim() > 1:
                ratio.mul_(self._project(parameter, slope, piece, settings))
        if settings["weight_decay"] > 0:
            tensor.mul_(1 - settings["lr"] * settings["weight_decay"] * decay)
        tensor.add_(change, alpha=-settings["lr"] / (1 - beta1 ** state["step"]))

    @staticmethod
    def _project(
        parameter: torch.Tensor, slope: torch.Tensor, change: torch.Tensor, settings: Dict[str, Any]
    ) -> torch.Tensor:
        """Project the change: by channels, else as a whole, else not; the ratio of the decay, one number."""
        eps, projected, done = settings["eps"], change.clone(), None
        for rows in (parameter.shape[0], 1):
            p, g, d = (one.reshape(rows, -1) for one in (parameter, slope, change))
            length = torch.linalg.vector_norm(p, dim=1) + eps
            cosine = (p * g).sum(1).abs() / length / (torch.linalg.vector_norm(g, dim=1) + eps)
            stands = cosine.max() < settings["delta"] / math.sqrt(p.shape[1])
            here = stands if done is None else stands & ~done
            unit = p / length[:, None]
            shorter = (d - unit * (unit * d).sum(1, keepdim=True)).reshape(change.shape)
            projected = torch.where(here, shorter, projected)
            done = stands if done is None else stands | done
        change.copy_(projected)
        one = torch.ones((), dtype=change.dtype, device=change.device)
        return torch.where(done, one * settings["wd_ratio"], one)  # type: ignore[arg-type]


def _after_warmup(schedule: str, done: float, warmup: float) -> float:
    """The factor of the learning rate when this part of all steps is done, as in BERT's programs."""
    if done < warmup:
        return done / warmup
    if schedule == "warmup_cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    if schedule == "warmup_linear":
        return max((done - 1.0) / (warmup - 1.0), 0.0)
    if schedule == "warmup_poly":
        return (1.0 - done) ** 0.5
    return 1.0


SCHEDULES = ("warmup_cosine", "warmup_constant", "warmup_linear", "warmup_poly")


class BertAdam(Rule):
    """Adam as BERT was trained: decoupled decay, no correction of bias, a learning rate that warms up.

    The gradients of a tensor are clipped to `max_grad_norm`, as one.
    """

    names = ("exp_avg", "exp_avg_sq")

    def __init__(self, params: Any, **settings: Any) -> None:
        warmup, schedule = settings.get("warmup", -1), settings.get("schedule", SCHEDULES[0])
        if (warmup < 0.0 and warmup != -1) or warmup >= 1.0:
            raise ValueError(f"Invalid warmup: {warmup}")
        if schedule not in SCHEDULES:
            raise ValueError(f"Invalid schedule parameter: {schedule}; one of {', '.join(SCHEDULES)}")
        for name in ("b1", "b2"):
            if not 0.0 <= settings.get(name, 0.0) < 1.0:
                raise ValueError(f"Invalid {name} parameter: {settings[name]}")
        if settings.get("e", 0.0) < 0.0:
            raise ValueError(f"Invalid epsilon value: {settings['e']}")
        super().__init__(params, **settings)

    def update(
        self, tensor: torch.Tensor, gradient: torch.Tensor, state: Dict[str, Any], settings: Dict[str, Any]
    ) -> None:
        """See Rule."""
        if settings["max_grad_norm"] > 0:
            norm = torch.linalg.vector_norm(gradient.float())
            gradient.mul_((settings["max_grad_norm"] / (norm + 1e-6)).clamp(max=1.0))
        _moments(gradient, state, (settings["b1"], settings["b2"]))
        change = state["exp_avg"] / state["exp_avg_sq"].sqrt().add_(settings["e"])
        if settings["weight_decay"] > 0.0:
            change.add_(tensor, alpha=settings["weight_decay"])
        rate = settings["lr"]
        if settings["t_total"] != -1:
            done = (state["step"] - 1) / settings["t_total"]
            rate *= _after_warmup(settings["schedule"], done, settings["warmup"])
        tensor.add_(change, alpha=-rate)


class RMSpropTF(Rule):
    """RMSprop as TensorFlow computes it: averages start at one, epsilon lies below the root."""

    def begin(self, tensor: torch.Tensor, settings: Dict[str, Any]) -> Dict[str, torch.Tensor]:
        """See Rule."""
        state = {"square_avg": torch.ones_like(tensor)}
        if settings["momentum"] > 0:
            state["momentum_buffer"] = torch.zeros_like(tensor)
        if settings["centered"]:
            state["grad_avg"] = torch.zeros_like(tensor)
        return state

    def update(
        self, tensor: torch.Tensor, gradient: torch.Tensor, state: Dict[str, Any], settings: Dict[str, Any]
    ) -> None:
        """See Rule."""
        decay, rate = settings["weight_decay"], settings["lr"]
        if decay != 0 and settings["decoupled_decay"]:
            tensor.mul_(1 - decay)
        elif decay != 0:
            gradient = gradient.add(tensor, alpha=decay)
        square = state["square_avg"]
        square.add_(gradient.pow(2) - square, alpha=1 - settings["alpha"])
        variance = square + settings["eps"]
        if settings["centered"]:
            state["grad_avg"].add_(gradient - state["grad_avg"], alpha=1 - settings["alpha"])
            variance.addcmul_(state["grad_avg"], state["grad_avg"], value=-1)
        deviation = variance.sqrt_()
        if settings["momentum"] <= 0:
            tensor.addcdiv_(gradient, deviation, value=-rate)
            return
        inside = settings["lr_in_momentum"]
        buffer = state["momentum_buffer"].mul_(settings["momentum"])
        buffer.addcdiv_(gradient, deviation, value=rate if inside else 1.0)
        tensor.add_(buffer, alpha=-1.0 if inside else -rate)
