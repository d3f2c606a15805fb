"""What a doctor needs to know of a machine, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wheelmill.pick.doctor.machine import python_word


@dataclass(frozen=True)
class Package:
    """An installed distribution: its metadata, and for torch and torch_npu what their own files say.

    `own_version` is the `__version__` in the package's version.py, `tags` are the tags of its wheel.
    """

    name: str
    version: str
    folder: str
    requires: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    own_version: str | None = None


@dataclass(frozen=True)
class Interpreter:
    """The Python whose environment is examined. `packages` by normalized name; `twice` have two records.

    `origins` says for torch and torch_npu which file an import would load: None for a folder without
    `__init__.py`, absent where there is nothing to import. `libgomps` are the copies of libgomp in it.
    `prefix` is its folder, and `uv` tells whether that tool is there to install into it. `free_threaded` is a
    build without the global lock.
    """

    executable: str
    version: str
    arch: str
    libc: tuple[str, str]
    packages: Mapping[str, Package] = field(default_factory=dict)
    twice: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origins: Mapping[str, str | None] = field(default_factory=dict)
    libgomps: tuple[str, ...] = ()
    prefix: str = ""
    uv: bool = False
    implementation: str = "CPython"
    free_threaded: bool = False

    @property
    def python(self) -> str:
        """`3.11`"""
        return ".".join(self.version.split(".")[:2])

    @property
    def kind(self) -> str:
        """`3.11`; of another Python than wheels are for, `3.13t` or `PyPy 3.10`."""
        return python_word(self.implementation, self.python, free_threaded=self.free_threaded)

    def loads(self, python: str, abi: str) -> bool:
        """Whether the native files of a wheel with these tags are for this Python."""
        if abi == "none":
            return python.startswith("py") or python == self._tag
        return python == self._tag and abi.endswith("t") == self.free_threaded

    @property
    def _tag(self) -> str:
        short = {"CPython": "cp", "PyPy": "pp"}.get(self.implementation, self.implementation.lower())
        return short + self.python.replace(".", "")

    def markers(self) -> dict[str, str]:
        """The values of environment markers in this interpreter."""
        return {
            "python_version": self.python,
            "python_full_version": self.version,
            "platform_machine": self.arch,
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "implementation_name": self.implementation.lower(),
            "platform_python_implementation": self.implementation,
            "extra": "",
        }


@dataclass(frozen=True)
class Cann:
    """A CANN: where, which, and what of it can be used. `kernels` are the chips that it has kernels for.

    `set_env` is the script to source; `sourced` tells whether that was done. `missing` are libraries that
    torch_npu loads and that are nowhere in LD_LIBRARY_PATH. `others` are further CANNs in that path.
    """

    home: str
    version: str | None
    sourced: bool
    exists: bool
    set_env: str | None = None
    kernels: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    nnal: str | None = None


@dataclass(frozen=True)
class Driver:
    """The NPU driver: its version, devices and tool. `said` is what npu-smi printed when it failed.

    `chips` are the names of the NPUs by npu-smi, and `health` its words for those that are not `OK`, by their
    number; `hung` are the seconds after which it was given up. `absent` device nodes belong to those that are
    there.
    """

    version: str | None = None
    devices: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    library: str | None = None
    npu_smi: str | None = None
    chips: tuple[str, ...] = ()
    said: str | None = None
    health: Mapping[str, str] = field(default_factory=dict)
    hung: int | None = None


@dataclass(frozen=True)
class Imported:
    """What importing torch and torch_npu in a process of its own gave. `output` is what a failure printed."""

    ended: str  # "ok", "failed", "hung" or "skipped"
    seconds: float = 0.0
    output: str = ""
    devices: int | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that was read. `variables` are those of the environment that matter, `installers` pip's and
    uv's settings of indexes by where they were made."""

    interpreter: Interpreter
    system: str
    container: str | None
    cann: Cann | None
    driver: Driver
    variables: Mapping[str, str]
    installers: Mapping[str, str]
    imported: Imported

    def package(self, name: str) -> Package | None:
        """An installed distribution by its normalized name."""
        return self.interpreter.packages.get(name)

    def to_json(self) -> dict[str, Any]:
        """For programs; of the packages those that matter."""
        interpreter = self.interpreter
        shown = (
            "torch",
            "torch-npu",
            "numpy",
            "torchvision",
            "torchaudio",
            "vllm",
            "vllm-ascend",
            "triton-ascend",
        )
        return {
            "executable": interpreter.executable,
            "python": interpreter.version,
            "implementation": interpreter.implementation,
            "free_threaded": interpreter.free_threaded,
            "arch": interpreter.arch,
            "libc": " ".join(interpreter.libc).strip(),
            "system": self.system,
            "container": self.container,
            "packages": {
                name: {"version": one.version, "tags": list(one.tags), "folder": one.folder}
                for name in shown
                if (one := interpreter.packages.get(name)) is not None
            },
            "cann": self.cann and _plain(self.cann),
            "driver": _plain(self.driver),
            "variables": dict(self.variables),
            "installers": dict(self.installers),
            "import": {
                "ended": self.imported.ended,
                "seconds": round(self.imported.seconds, 1),
                "devices": self.imported.devices,
            },
        }


def _plain(value: Any) -> dict[str, Any]:
    return {name: list(one) if isinstance(one, tuple) else one for name, one in vars(value).items()}
