"""What the tools share: seeing each operator that runs, and where in a model it does."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Tuple

import torch

try:
    from torch.utils._python_dispatch import TorchDispatchMode
except ImportError as error:  # torch 1
    raise ImportError("torch_npu.tools needs torch 2.0 or later") from error

#: Views and questions compute nothing, so they have nothing to compare.
_NOTHING = (
    "aten::detach",
    "aten::_local_scalar_dense",
    "aten::is_",
    "prim::",
    "aten::set_",
    "aten::empty",
    "aten::_to_copy",
)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors among arguments or results, also those in lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from tensors_in(one)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same with each tensor changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        made = [mapped(one, change) for one in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    if isinstance(value, dict):
        return {key: mapped(one, change) for key, one in value.items()}
    return value


class EachOperator(TorchDispatchMode):  # type: ignore[misc]
    """Calls `see(name, module, arguments, result)` after each operator that computes something."""

    def __init__(self) -> None:
        super().__init__()
        self._modules: List[str] = []
        self._hooks: List[Any] = []

    def watch(self, model: torch.nn.Module) -> None:
        """Know the modules of a model by name."""
        for name, module in model.named_modules():
            known = name or type(model).__name__
            self._hooks.append(module.register_forward_pre_hook(self._entering(known)))
            self._hooks.append(module.register_forward_hook(self._leaving))

    def _entering(self, name: str) -> Callable[..., None]:
        def enter(module: torch.nn.Module, arguments: Any) -> None:
            self._modules.append(name)

        return enter

    def _leaving(self, module: torch.nn.Module, arguments: Any, result: Any) -> None:
        if self._modules:
            self._modules.pop()

    def __exit__(self, *exception: Any) -> Any:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._modules.clear()
        return super().__exit__(*exception)

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        named = named or {}
        name = function._schema.name
        if name.startswith(_NOTHING) or _is_view(function):
            return function(*arguments, **named)
        return self.run(function, name, self._modules[-1] if self._modules else "", arguments, named)

    def run(self, function: Any, name: str, module: str, arguments: Tuple[Any, ...], named: Any) -> Any:
        """Run the operator; a tool looks at what comes and goes here."""
        raise NotImplementedError


def _is_view(function: Any) -> bool:
    """Whether the result is an argument seen otherwise: nothing is written."""
    aliases = [result.alias_info for result in function._schema.returns]
    return bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)
