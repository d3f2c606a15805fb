"""CANN's C ABI from Python: what an adapter does for one operator, spelled out with ctypes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "cann" / "operators"), str(ROOT / "simulator" / "aclnn")]

from signatures import Parameter, symbol  # noqa: E402
from tables import read_tables, table_paths  # noqa: E402

KERNELS = {kernel.name: kernel for kernel in read_tables(table_paths())}
SIGNATURES: dict[str, tuple[Parameter, ...]] = {name: row.parameters for name, row in KERNELS.items()}
TORCH = tuple(int(number) for number in torch.__version__.split(".")[:2])
#: Those that the torch at hand can compute; CANN's symbol is missing for a row of a later one.
SERVED = frozenset(name for name, row in KERNELS.items() if row.since <= TORCH)
#: Those that all ranks of a communicator compute together.
JOINT = frozenset(
    name for name, parameters in SIGNATURES.items() if any(p.base == "group" for p in parameters)
)

SUCCESS = 0
NULL_POINTER = 161001
INVALID = 161002
KERNEL_FAILED = 507015

DTYPES = {
    torch.float32: 0, torch.float16: 1, torch.int8: 2, torch.int32: 3, torch.uint8: 4, torch.int16: 6,
    torch.int64: 9, torch.float64: 11, torch.bool: 12, torch.complex64: 16, torch.complex128: 17,
    torch.bfloat16: 27,
}  # fmt: skip
for _name, _number in (("float8_e5m2", 35), ("float8_e4m3fn", 36), ("float8_e8m0fnu", 37)):
    if hasattr(torch, _name):  # a later torch has it
        DTYPES[getattr(torch, _name)] = _number
SCALARS: dict[type, tuple[Callable[[Any], Any], int]] = {
    bool: (ctypes.c_bool, 12),
    int: (ctypes.c_int64, 9),
    float: (ctypes.c_double, 11),
    complex: (lambda number: (ctypes.c_double * 2)(number.real, number.imag), 17),
}
NUMBERS = {
    "int8": ctypes.c_int8, "int32": ctypes.c_int32, "int64": ctypes.c_int64, "uint64": ctypes.c_uint64,
    "bool": ctypes.c_bool, "float": ctypes.c_float, "double": ctypes.c_double,
}  # fmt: skip
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2


class AclError(Exception):
    """A call that CANN answered with an error."""

    def __init__(self, call: str, code: int, message: str) -> None:
        super().__init__(f"{call} gave {code}: {message}")
        self.code = code
        self.message = message


def _storage(tensor: torch.Tensor) -> Any:
    """Its whole storage, in bytes; a torch before 2.0 has others."""
    return tensor.untyped_storage() if TORCH >= (2, 0) else tensor.storage()._storage


@dataclass(frozen=True)
class DeviceTensor:
    """A tensor in device memory: the address of its storage, and how a CPU tensor with its layout looks."""

    address: int
    like: torch.Tensor

    @property
    def storage_elements(self) -> int:
        return _storage(self.like).nbytes() // self.like.element_size()


class Simulator:
    """The libraries, initialized, with device 0 current. Every method raises AclError for an error code."""

    def __init__(self, libraries: Path) -> None:
        self.runtime = ctypes.CDLL(str(libraries / "libascendcl.so"), mode=ctypes.RTLD_GLOBAL)
        self.base = ctypes.CDLL(str(libraries / "libnnopbase.so"))
        self.operators = ctypes.CDLL(str(libraries / "libopapi.so"))
        self.runtime.aclGetRecentErrMsg.restype = ctypes.c_char_p
        for name in ("Tensor", "Scalar", "IntArray", "FloatArray", "BoolArray", "TensorList", "ScalarList"):
            getattr(self.base, f"aclCreate{name}").restype = ctypes.c_void_p

    def __enter__(self) -> Simulator:
        self.check("aclInit", None)
        self.check("aclrtSetDevice", 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.check("aclFinalize")

    def message(self) -> str:
        return (self.runtime.aclGetRecentErrMsg() or b"").decode()

    def _checked(self, call: str, code: int) -> None:
        if code != SUCCESS:
            raise AclError(call, code, self.message())

    def check(self, name: str, *arguments: Any) -> None:
        self._checked(name, getattr(self.runtime, name)(*arguments))

    # -- memory --------------------------------------------------------------------------------
    def malloc(self, size: int) -> int:
        pointer = ctypes.c_void_p()
        self.check("aclrtMalloc", ctypes.byref(pointer), ctypes.c_size_t(size), 0)
        return pointer.value or 0

    def free(self, address: int) -> None:
        self.check("aclrtFree", ctypes.c_void_p(address))

    def put(self, tensor: torch.Tensor) -> DeviceTensor:
        """Copy a CPU tensor with its whole storage, so that strides and offset mean the same there."""
        storage = _storage(tensor)
        address = self.malloc(max(storage.nbytes(), 1))
        self._copy(address, storage.data_ptr(), storage.nbytes(), HOST_TO_DEVICE)
        return DeviceTensor(address, tensor)

    def room(self, *shape: int, dtype: torch.dtype = torch.float32) -> DeviceTensor:
        """An output, filled with a value that no test expects."""
        return self.put(torch.full(shape, 77, dtype=dtype))

    def get(self, tensor: DeviceTensor) -> torch.Tensor:
        """Wait for the device and copy back."""
        self.check("aclrtSynchronizeDevice")
        storage = torch.empty(tensor.storage_elements, dtype=tensor.like.dtype)
        self._copy(storage.data_ptr(), tensor.address, _storage(storage).nbytes(), DEVICE_TO_HOST)
        return storage.as_strided(tensor.like.shape, tensor.like.stride(), tensor.like.storage_offset())

    def _copy(self, to: int, source: int, size: int, kind: int) -> None:
        count = ctypes.c_size_t(size)
        self.check("aclrtMemcpy", ctypes.c_void_p(to), count, ctypes.c_void_p(source), count, kind)

    # -- handles -------------------------------------------------------------------------------
    def tensor(self, tensor: DeviceTensor | None) -> int | None:
        if tensor is None:
            return None
        sizes, strides = ints(tensor.like.shape), ints(tensor.like.stride())
        return self._handle(
            "aclCreateTensor", sizes, ctypes.c_uint64(len(sizes)), DTYPES[tensor.like.dtype], strides,
            ctypes.c_int64(tensor.like.storage_offset()), 2, ints([tensor.storage_elements]),
            ctypes.c_uint64(1), ctypes.c_void_p(tensor.address),
        )  # fmt: skip

    def scalar(self, value: Any) -> int | None:
        if value is None:
            return None
        c_type, dtype = SCALARS[type(value)]
        return self._handle("aclCreateScalar", ctypes.byref(c_type(value)), dtype)

    def tensors(self, tensors: Sequence[DeviceTensor | None] | None) -> int | None:
        if tensors is None:
            return None
        handles = (ctypes.c_void_p * len(tensors))(*[self.tensor(item) for item in tensors])
        return self._handle("aclCreateTensorList", handles, ctypes.c_uint64(len(tensors)))

    def scalars(self, values: Sequence[Any]) -> int:
        handles = (ctypes.c_void_p * len(values))(*[self.scalar(item) for item in values])
        return self._handle("aclCreateScalarList", handles, ctypes.c_uint64(len(values)))

    def float_array(self, values: Sequence[float]) -> int:
        array = (ctypes.c_float * len(values))(*values)
        return self._handle("aclCreateFloatArray", array, ctypes.c_uint64(len(values)))

    def int_array(self, values: Sequence[int] | None) -> int | None:
        if values is None:
            return None
        return self._handle("aclCreateIntArray", ints(values), ctypes.c_uint64(len(values)))

    def bool_array(self, values: Sequence[bool] | None) -> int | None:
        if values is None:
            return None
        array = (ctypes.c_bool * len(values))(*values)
        return self._handle("aclCreateBoolArray", array, ctypes.c_uint64(len(values)))

    def _handle(self, name: str, *arguments: Any) -> int:
        handle = getattr(self.base, name)(*arguments)
        if handle is None:
            raise AclError(name, INVALID, self.message())
        return handle

    def destroy(self, kind: str, handle: int) -> None:
        self._checked(f"aclDestroy{kind}", getattr(self.base, f"aclDestroy{kind}")(ctypes.c_void_p(handle)))

    # -- operators -----------------------------------------------------------------------------
    def argument(self, parameter: Parameter, value: Any) -> Any:
        """A Python value as the C argument of its kind. The handles made here live as long as the process."""
        if parameter.base in NUMBERS:
            return NUMBERS[parameter.base](value)
        if parameter.base == "dtype":
            return ctypes.c_int(DTYPES[value])
        if parameter.base in ("str", "group"):
            return ctypes.c_char_p(None if value is None else value.encode())
        make = {
            "tensor": self.tensor, "out": self.tensor, "inout": self.tensor, "tensors": self.tensors,
            "outs": self.tensors, "inouts": self.tensors, "scalar": self.scalar, "scalars": self.scalars,
            "ints": self.int_array, "floats": self.float_array, "bools": self.bool_array,
        }  # fmt: skip
        return ctypes.c_void_p(make[parameter.base](value))

    def prepare(self, name: str, *values: Any) -> tuple[int, int]:
        """Phase one: the workspace size and the executor."""
        parameters = SIGNATURES[name]
        assert len(values) == len(parameters), f"{symbol(name)} takes {len(parameters)} arguments"
        arguments = [
            self.argument(parameter, value) for parameter, value in zip(parameters, values, strict=True)
        ]
        return self.prepare_raw(name, arguments)

    def prepare_raw(self, name: str, arguments: list[Any]) -> tuple[int, int]:
        size, executor = ctypes.c_uint64(), ctypes.c_void_p()
        function = getattr(self.operators, f"{symbol(name)}GetWorkspaceSize")
        self._checked(
            f"{symbol(name)}GetWorkspaceSize",
            function(*arguments, ctypes.byref(size), ctypes.byref(executor)),
        )
        return size.value, executor.value or 0

    def launch(
        self, name: str, workspace: int, size: int, executor: int, stream: ctypes.c_void_p | None = None
    ) -> None:
        """Phase two."""
        function = getattr(self.operators, symbol(name))
        code = function(ctypes.c_void_p(workspace), ctypes.c_uint64(size), ctypes.c_void_p(executor), stream)
        self._checked(symbol(name), code)

    def run(self, name: str, *values: Any, stream: ctypes.c_void_p | None = None) -> None:
        """Both phases, with the workspace that the first asked for."""
        size, executor = self.prepare(name, *values)
        workspace = self.malloc(size) if size else 0
        self.launch(name, workspace, size, executor, stream)
        if workspace:
            self.free(workspace)

    def view_shape(self, handle: int) -> list[int]:
        """aclGetViewShape: the sizes of a result that only the kernel knew."""
        sizes, count = ctypes.POINTER(ctypes.c_int64)(), ctypes.c_uint64()
        function = self.base.aclGetViewShape
        self._checked(
            "aclGetViewShape", function(ctypes.c_void_p(handle), ctypes.byref(sizes), ctypes.byref(count))
        )
        return sizes[: count.value]


def ints(values: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(values))(*values)
