"""Makes a record of a wheel of torch or of a backend, an open file of which only what is needed is read."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from wheelmill.prove.abi import headers
from wheelmill.prove.abi.interface import NEW_STRINGS, base_methods, exported
from wheelmill.prove.abi.model import AbiError, Interface, Origin, Record
from wheelmill.prove.abi.recorded import RECORDED
from wheelmill.wheel.elf import NotAnElfFileError
from wheelmill.wheel.linking import Image, read_image
from wheelmill.wheel.name import WheelName, parse_name, tag_arch, tag_python

_MAX_LIBRARY = 1 << 30  # bytes
_MAX_HEADER = 16 << 20
_HEADERS = re.compile(r"torch/include/(?:ATen|c10|caffe2|torch)/.*\.(?:h|hpp|inc|def)")
# What the recorded values come from; the rest differs from build to build.
_DECIDING = re.compile(
    r"torch/include/(?:ATen/(?:core|ops)/.*|ATen/[A-Z]\w+\.h|c10/(?:core|util)/.*|torch/library\.h)"
)
_CUDA_ALLOCATOR = "torch/include/c10/cuda/CUDAAllocatorConfig.h"
_KEYS = re.compile(r"getKeys\(\)\s*\{[^{]*\{([^}]*)\}")
_PYBIND = re.compile(rb"__pybind11_internals_(v\d+)_")
_BUILDS = re.compile(r"^(cuda|hip|rocm|xpu)\b[^=]*=\s*'([^']*)'", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """What the headers of a torch were asked before: digest of the headers -> operators and layouts."""

    operators: dict[str, str]
    layouts: dict[str, int]


def record_wheel(
    stream: IO[bytes], file: str, pythons: Sequence[str] = (), known: dict[str, Asked] | None = None
) -> Record:
    """The record of the wheel `file`, an open archive.

    `pythons` are those that the version has wheels for, else that of the wheel. `known` has what
    headers answered that are the same in many wheels, and gets the answers of these.

    Raises AbiError, or WheelError for a name that is no wheel's.
    """
    name = parse_name(file)
    package = name.project
    if package not in RECORDED:
        raise AbiError(
            f"{file} is a wheel of {package}; what is recorded is {' or '.join(RECORDED)}",
            hint="To see where an extension runs: wheelmill abi WHEEL",
        )
    with _opened(stream, file) as archive:
        build = _build(archive, name)
        images = [
            _image(archive, RECORDED[package].folder + library, file)
            for library in _present(archive, package, file)
        ]
        symbols = exported(package, images)
        new_strings = any(NEW_STRINGS.search(symbol) for symbol in symbols)
        asked = Asked({}, {})
        if package == "torch":
            asked = _asked(archive, new_strings, {} if known is None else known)
        interface = Interface(
            symbols=symbols,
            vtables=base_methods(package, images),
            operators=asked.operators,
            layouts=asked.layouts,
            new_strings=new_strings,
            pybind=_pybind(images),
            allocator_keys=allocator_keys(archive),
        )
    return Record(
        Origin(
            package=package,
            version=name.version.partition("+")[0],
            arch=_arch(name, images),
            build=build,
            wheel=file,
            pythons=tuple(pythons) or _own_python(name),
        ),
        interface,
    )


@contextmanager
def _opened(stream: IO[bytes], file: str) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong with its bytes becomes an AbiError."""
    try:
        with zipfile.ZipFile(stream) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise AbiError(
            f"{file} cannot be read as a wheel: {' '.join(str(error).split())}",
            hint="The file is cut off or damaged; download it again.",
        ) from None


def _present(archive: zipfile.ZipFile, package: str, file: str) -> list[str]:
    """The libraries that are recorded. Raises AbiError where one that every build has is missing."""
    names, recorded = set(archive.namelist()), RECORDED[package]
    known = (*recorded.libraries, *recorded.some)
    wanted = [library for library in known if recorded.folder + library in names]
    missing = set(recorded.libraries) - set(wanted)
    if missing:
        other = next((name for name in names if name.endswith((".dll", ".dylib"))), None)
        raise AbiError(
            f"{file} has no {', '.join(sorted(missing))}"
            + (f"; it has {other}, so it is not for Linux" if other else ""),
            hint="Give a Linux wheel of torch as the package index has it.",
        )
    return wanted


def _image(archive: zipfile.ZipFile, member: str, file: str) -> Image:
    size = archive.getinfo(member).file_size
    if size > _MAX_LIBRARY:
        raise AbiError(f"{file}: {member} is {size} bytes long; no more than {_MAX_LIBRARY} are read")
    try:
        return read_image(member, archive.read(member))
    except NotAnElfFileError as error:
        raise AbiError(f"{file}: {member} cannot be read: {error}") from None


def _arch(name: WheelName, images: Sequence[Image]) -> str:
    """The architecture. Raises AbiError where name and files do not agree."""
    said = {arch for platform in name.platforms if (arch := tag_arch(platform)) is not None}
    found = {image.machine.removeprefix("EM_").lower() for image in images}
    if said != found:
        raise AbiError(
            f"{name.file} is named for {', '.join(sorted(said)) or 'any machine'} and has libraries for "
            f"{', '.join(sorted(found))}",
            hint="Give a Linux wheel for x86_64 or aarch64 under its own name.",
        )
    return found.pop()


def _own_python(name: WheelName) -> tuple[str, ...]:
    found = {tag_python(tag.interpreter, tag.abi) for tag in name.tags}
    return tuple(sorted(python for python in found if python is not None))


def _build(archive: zipfile.ZipFile, name: WheelName) -> str:
    """What a torch was built for: `cpu`, `cu130`; its own file says so. Raises AbiError for other builds.

    A record holds for every build of its version. One of ROCm or XPU would hide from CUDA's extensions what
    CUDA's build has, so it takes nobody's place.
    """
    if "torch/version.py" not in archive.namelist():
        return name.version.partition("+")[2] or "cpu"
    text = archive.read("torch/version.py").decode("utf-8", "replace")
    for tool, version in _BUILDS.findall(text):
        if tool != "cuda":
            raise AbiError(
                f"{name.file} is a {tool.replace('hip', 'rocm')}{version} build; "
                "what is recorded is a CPU or CUDA build",
                hint="Give the wheel of the same version as the package index has it: "
                f"wheelmill abi record {name.version.partition('+')[0]}",
            )
        digits = version.split(".")
        return f"cu{digits[0]}{digits[1]}"
    return "cpu"


def _pybind(images: Sequence[Image]) -> str:
    """The version of pybind11's interface between modules, such as `v5`; "" where there is none."""
    for image in images:
        if (found := _PYBIND.search(image.strings)) is not None:
            return found[1].decode()
    return ""


def allocator_keys(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """What builds with CUDA register of the allocator's configuration; the others have the header, too.

    A literal may be in parts, so that a tool that translates names for ROCm leaves it alone.
    """
    if _CUDA_ALLOCATOR not in archive.namelist():
        return ()
    text = archive.read(_CUDA_ALLOCATOR).decode("utf-8", "replace")
    found = _KEYS.search(re.sub(r"//[^\n]*", "", text))
    if found is None:
        return ()
    keys = ("".join(re.findall(r'"([^"]*)"', one)) for one in found[1].split(","))
    return tuple(sorted(key for key in keys if key))


def _asked(archive: zipfile.ZipFile, new_strings: bool, known: dict[str, Asked]) -> Asked:
    """What the compiler says of the headers, unless the same headers were asked before."""
    members = [name for name in archive.namelist() if _HEADERS.fullmatch(name)]
    digest = hashlib.sha256(f"{new_strings}".encode())
    for name in sorted(filter(_DECIDING.fullmatch, members)):
        digest.update(f"{name} {archive.getinfo(name).CRC:08x}\n".encode())
    key = digest.hexdigest()
    if key not in known:
        with tempfile.TemporaryDirectory(prefix="wheelmill-abi-") as folder:
            _unpack(archive, members, Path(folder))
            include = Path(folder, "torch/include")
            texts = (path.read_text("utf-8", "replace") for path in sorted(include.glob("ATen/ops/*_ops.h")))
            operators, layouts = headers.probe(
                include, Path(folder), headers.operator_types(texts), new_strings=new_strings
            )
        known[key] = Asked(operators, layouts)
    return known[key]


def _unpack(archive: zipfile.ZipFile, members: Sequence[str], folder: Path) -> None:
    for name in members:
        if ".." in PurePosixPath(name).parts or archive.getinfo(name).file_size > _MAX_HEADER:
            raise AbiError(f"the wheel has a header that is none: {name}")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(name))
