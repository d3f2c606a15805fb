"""torch 1: the device `npu` on a device type that it borrows. Imported on torch 1 only.

torch 1 keeps a dispatch key free for backends like this one, but no device type. The native library registers
itself under another backend's type there (BORROWED), and this module puts the right name on it in Python:
torch.device("npu:0") is an NpuDevice, what takes a device takes "npu", and a tensor's `device` says npu. C++
keeps the borrowed name, so a message of torch's own may say "xla:0" where it means npu:0.
"""

import functools
import re
import sys
import types
from typing import Any, Callable, List, Optional

import torch

from torch_npu import _native

BORROWED = "xla"
BORROWED_TYPE = 9  # c10::DeviceType::XLA

_NATIVE_DEVICE: Any = torch.device
_NAME = re.compile(r"npu(?::(\d+))?\Z")


def install() -> None:
    """Teach torch the device. Call it before anything is made on it; the library is loaded afterwards."""
    torch.device = device  # type: ignore[misc]
    torch.Tensor.device = property(_device_of)  # type: ignore[assignment, method-assign]
    for owner, name in _takers_of_devices():
        setattr(owner, name, _knowing_npu(getattr(owner, name)))
    # What a lazy module's parameters may be asked before they have a shape; it holds what was replaced above.
    torch.nn.parameter.UninitializedTensorMixin._allowed_methods.append(torch.Tensor.to)
    variable: Any = torch.autograd.Variable
    variable._execution_engine = OrderedEngine(variable._execution_engine)


def register_module(npu: types.ModuleType) -> None:
    """Make torch.npu of it. (torch's own function would take the name from the device that it borrows.)"""
    torch.npu = npu  # type: ignore[attr-defined]
    sys.modules["torch.npu"] = npu


def _takers_of_devices() -> List[Any]:
    """(owner, name) of what passes a device on to C++: ATen's operators by their schemas, and the rest."""
    schemas = torch._C._jit_get_all_schemas()
    operators = {
        schema.name[len("aten::") :]
        for schema in schemas
        if schema.name.startswith("aten::")
        and any(argument.name == "device" for argument in schema.arguments)
    }
    found = [(owner, name) for owner in (torch, torch.Tensor) for name in operators if hasattr(owner, name)]
    fft = [(torch.fft, name) for name in ("fftfreq", "rfftfreq")]
    return [*found, *fft, (torch.Tensor, "new_tensor"), (torch.Tensor, "new"), (torch._C._nn, "_parse_to")]


def _knowing_npu(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if "device" in keywords:
            keywords["device"] = _known(keywords["device"])
        return function(*map(_known, arguments), **keywords)

    return call


def _known(value: Any) -> Any:
    """The device that a text like "npu:1" names; anything else as it is."""
    match = _NAME.match(value) if type(value) is str else None
    return value if match is None else NpuDevice(None if match[1] is None else int(match[1]))


class _DeviceType(str):
    """ "npu", and equal to the borrowed name too: torch's own Python asks for that where it has to treat the
    type specially, for example to copy and to pickle tensors without storages."""

    def __eq__(self, other: object) -> bool:
        return str(self) == other or other == BORROWED

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class NpuDevice(str):
    """What torch.device("npu", index) gives. As text it is the borrowed name, which C++ takes as a device."""

    index: Optional[int]

    def __new__(cls, index: Optional[int] = None) -> "NpuDevice":
        made = super().__new__(cls, BORROWED if index is None else f"{BORROWED}:{index}")
        made.index = index  # type: ignore[assignment]
        return made

    @property
    def type(self) -> str:
        """ "npu"."""
        return _NPU

    def __str__(self) -> str:
        return "npu" if self.index is None else f"npu:{self.index}"

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)

    def __repr__(self) -> str:
        return "device(type='npu')" if self.index is None else f"device(type='npu', index={self.index})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _NATIVE_DEVICE):
            return bool(other.type == BORROWED and other.index == self.index)  # type: ignore[attr-defined]
        return isinstance(other, NpuDevice) and other.index == self.index

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("npu", self.index))

    def __reduce__(self) -> Any:
        return device, ("npu", self.index)


_NPU = _DeviceType("npu")


class _AnyDevice(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, (_NATIVE_DEVICE, NpuDevice))


class device(metaclass=_AnyDevice):  # noqa: N801
    """torch.device: torch's own, and npu besides."""

    __module__ = "torch"

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        found = _known(arguments[0] if arguments else keywords.get("type"))
        if not isinstance(found, NpuDevice):
            return _NATIVE_DEVICE(*arguments, **keywords)
        index = arguments[1] if len(arguments) > 1 else keywords.get("index")
        if index is None:
            return found
        if found.index is not None:
            raise RuntimeError(f"type (string) must not include an index because index was passed: {found}")
        return NpuDevice(int(index))


def _device_of(tensor: torch.Tensor) -> Any:
    found = _native_device_of(tensor)
    return NpuDevice(found.index) if found.type == BORROWED else found


_native_device_of = torch._C._TensorBase.device.__get__


class OrderedEngine:
    """Autograd's engine; a backward pass begins after what all streams were given, and what these are given
    next runs after it. torch 1 runs it on the default streams, whichever forward and its caller use."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run_backward(self, *arguments: Any, **keywords: Any) -> Any:
        """The engine's own, in that order. RuntimeError in a thread that captures a graph."""
        used = range(_native.device_count()) if _native.is_initialized() else range(0)
        for device in used:
            if _native.is_captured(device, _native.current_stream(device)):
                raise RuntimeError(
                    f"a backward pass cannot be captured on torch {torch.__version__}, which runs it outside "
                    f"of the graph that is captured on npu:{device}: capture the forward pass alone, under "
                    "torch.no_grad(), or take torch 2"
                )
        for device in used:
            _native.stream_wait_for_all(device, 0)
        try:
            return self._engine.run_backward(*arguments, **keywords)
        finally:
            for device in used:
                _native.all_streams_wait(device, 0)


def packed_stream(stream_id: int, index: int) -> int:
    """The one number that torch 1 makes a torch.Stream of (c10::Stream::pack)."""
    return BORROWED_TYPE << 56 | index << 48 | stream_id


class Generator:
    """The random number generator of one device. torch 1 cannot show the native one in Python, nor take it as
    `generator=`; its state is reached through the library's operators."""

    def __init__(self, index: int) -> None:
        self.device = NpuDevice(index)
        self._index = index

    def manual_seed(self, seed: int) -> "Generator":
        """Start again from `seed`, at most 64 bits."""
        _native.generator_manual_seed(self._index, _signed(int(seed)))
        return self

    def seed(self) -> int:
        """Start again from a number that differs from run to run, and return it."""
        return int(_native.generator_seed(self._index)) % 2**64

    def initial_seed(self) -> int:
        """The number last started from."""
        return int(_native.generator_initial_seed(self._index)) % 2**64

    def get_state(self) -> torch.Tensor:
        """The state: a byte tensor on the CPU."""
        state: torch.Tensor = _native.generator_get_state(self._index)
        return state

    def set_state(self, new_state: torch.Tensor) -> None:
        """Restore what get_state returned."""
        _native.generator_set_state(self._index, new_state)


@functools.lru_cache(maxsize=None)
def default_generator(index: int) -> Generator:
    """The generator of one device, always the same object."""
    return Generator(index)


def _signed(seed: int) -> int:
    """The same 64 bits as an operator takes them."""
    if not -(2**63) <= seed < 2**64:
        raise RuntimeError(f"a seed has at most 64 bits, got {seed}")
    return seed - 2**64 if seed >= 2**63 else seed
