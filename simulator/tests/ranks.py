"""One rank of a communicator, by hand: libhccl and the runtime from Python, with numpy arrays.

The ranks' programs are in hccl_scenarios.py.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT_INFO_BYTES = 4108
DTYPES = {
    "int8": 0, "int16": 1, "int32": 2, "float16": 3, "float32": 4, "int64": 5,
    "uint64": 6, "uint8": 7, "uint16": 8, "uint32": 9, "float64": 10, "bfloat16": 11,
}  # fmt: skip
REDUCTIONS = {"sum": 0, "prod": 1, "max": 2, "min": 3}
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2


class HcclError(Exception):
    """A call that was answered with an error."""

    def __init__(self, call: str, code: int, message: str) -> None:
        super().__init__(f"{call} gave {code}: {message}")
        self.code = code
        self.message = message


class SendRecvItem(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int), ("buf", ctypes.c_void_p), ("count", ctypes.c_uint64),
        ("dtype", ctypes.c_int), ("rank", ctypes.c_uint32),
    ]  # fmt: skip


class CommConfig(ctypes.Structure):
    """The first part of HcclCommConfig, up to the time-out: `size` says how much there is."""

    _fields_ = [
        ("size", ctypes.c_size_t), ("magic", ctypes.c_uint32), ("version", ctypes.c_uint32),
        ("reserved", ctypes.c_uint64), ("buffer_size", ctypes.c_uint32), ("deterministic", ctypes.c_uint32),
        ("name", ctypes.c_char * 128), ("udi", ctypes.c_char * 128), ("expansion", ctypes.c_uint32),
        ("traffic_class", ctypes.c_uint32), ("service_level", ctypes.c_uint32),
        ("world_rank", ctypes.c_uint32),
        ("job", ctypes.c_uint64), ("zero_copy", ctypes.c_uint8), ("execute_timeout", ctypes.c_int32),
        ("algorithm", ctypes.c_char * 1600),
    ]  # fmt: skip


def comm_config(name: str = "", execute_timeout: int = -1) -> CommConfig:
    config = CommConfig(size=ctypes.sizeof(CommConfig), magic=0xF0F0F0F0, version=8)
    config.name = name.encode()
    config.execute_timeout = execute_timeout
    return config


class Device:
    """The runtime, with device `device` current; every method raises HcclError for an error code."""

    def __init__(self, libraries: Path, device: int) -> None:
        self.runtime = ctypes.CDLL(str(libraries / "libascendcl.so"), mode=ctypes.RTLD_GLOBAL)
        self.hccl = ctypes.CDLL(str(libraries / "libhccl.so"))
        self.runtime.aclGetRecentErrMsg.restype = ctypes.c_char_p
        self.hccl.HcclGetErrorString.restype = ctypes.c_char_p
        self.acl("aclInit", None)
        self.acl("aclrtSetDevice", device)
        self.stream = self.new_stream()

    def _checked(self, call: str, code: int) -> None:
        if code:
            raise HcclError(call, code, (self.runtime.aclGetRecentErrMsg() or b"").decode())

    def acl(self, name: str, *arguments: Any) -> None:
        self._checked(name, getattr(self.runtime, name)(*arguments))

    def call(self, name: str, *arguments: Any) -> None:
        self._checked(name, getattr(self.hccl, name)(*arguments))

    def new_stream(self) -> ctypes.c_void_p:
        stream = ctypes.c_void_p()
        self.acl("aclrtCreateStream", ctypes.byref(stream))
        return stream

    def synchronize(self, stream: ctypes.c_void_p | None = None) -> None:
        self.acl("aclrtSynchronizeStream", stream or self.stream)

    def room(self, size: int) -> ctypes.c_void_p:
        pointer = ctypes.c_void_p()
        self.acl("aclrtMalloc", ctypes.byref(pointer), ctypes.c_size_t(max(size, 1)), 0)
        return pointer

    def free(self, pointer: ctypes.c_void_p) -> None:
        self.acl("aclrtFree", pointer)

    def put(self, array: np.ndarray) -> ctypes.c_void_p:
        pointer = self.room(array.nbytes)
        self._copy(pointer, array.ctypes.data_as(ctypes.c_void_p), array.nbytes, HOST_TO_DEVICE)
        return pointer

    def get(self, pointer: ctypes.c_void_p, like: np.ndarray) -> np.ndarray:
        array = np.empty_like(like)
        self._copy(array.ctypes.data_as(ctypes.c_void_p), pointer, array.nbytes, DEVICE_TO_HOST)
        return array

    def _copy(self, to: ctypes.c_void_p, source: ctypes.c_void_p, size: int, kind: int) -> None:
        if size:
            self.acl("aclrtMemcpy", to, ctypes.c_size_t(size), source, ctypes.c_size_t(size), kind)


class Rank(Device):
    """A device and its place among the ranks. `root_info` and `meet` pass through files of `folder`."""

    def __init__(self, libraries: Path, rank: int, ranks: int, folder: Path) -> None:
        devices = int(os.environ.get("CANN_SIMULATOR_DEVICES", "2"))
        super().__init__(libraries, rank % devices)
        self.rank, self.ranks, self.folder = rank, ranks, folder
        self.communicator = ctypes.c_void_p()

    def say(self, text: str) -> None:
        print(text, flush=True)

    def flag(self, name: str) -> None:
        (self.folder / name).touch()

    def await_flag(self, name: str) -> None:
        while not (self.folder / name).exists():
            time.sleep(0.005)

    def root_info(self, name: str = "root") -> ctypes.Array[ctypes.c_char]:
        """Made by rank 0, once for each name, and read by the others."""
        info = ctypes.create_string_buffer(ROOT_INFO_BYTES)
        path = self.folder / name
        if self.rank == 0 and not path.exists():
            self.call("HcclGetRootInfo", info)
            path.with_suffix(".part").write_bytes(info.raw)
            path.with_suffix(".part").rename(path)
        self.await_flag(name)
        return ctypes.create_string_buffer(path.read_bytes(), ROOT_INFO_BYTES)

    def connect(
        self, name: str = "root", config: CommConfig | None = None, number: int | None = None
    ) -> Rank:
        """As rank `number`, if it is to be another than the process's own."""
        handle = ctypes.byref(self.communicator)
        info = self.root_info(name)
        if config is None:
            number = self.rank if number is None else number
            self.call("HcclCommInitRootInfo", self.ranks, info, number, handle)
        else:
            self.call("HcclCommInitRootInfoConfig", self.ranks, info, self.rank, ctypes.byref(config), handle)
        return self

    def async_error(self) -> int:
        code = ctypes.c_int(-1)
        self.call("HcclGetCommAsyncError", self.communicator, ctypes.byref(code))
        return code.value

    def all_reduce(self, values: np.ndarray, reduction: str = "sum") -> np.ndarray:
        """In place; waits."""
        pointer = self.put(values)
        count, dtype = ctypes.c_uint64(values.size), DTYPES[values.dtype.name]
        self.call(
            "HcclAllReduce", pointer, pointer, count, dtype, REDUCTIONS[reduction], self.communicator,
            self.stream,
        )  # fmt: skip
        self.synchronize()
        return self.get(pointer, values)
