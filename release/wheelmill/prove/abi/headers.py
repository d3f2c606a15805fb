"""What torch's headers compile into their users: sizes, places of members, values, signatures of operators.

A compiler is asked, for the headers are what users compile; nothing is run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wheelmill.cxx_names import readable_type
from wheelmill.prove.abi.model import AbiError
from wheelmill.wheel.elf import NotAnElfFileError
from wheelmill.wheel.linking import Image, read_image

_INCLUDES = (
    "ATen/core/Tensor.h",
    "ATen/core/dispatch/Dispatcher.h",
    "ATen/core/Generator.h",
    "ATen/core/ivalue.h",
    "ATen/core/CachingHostAllocator.h",
    "ATen/detail/PrivateUse1HooksInterface.h",
    "c10/core/CachingDeviceAllocator.h",
    "c10/core/Event.h",
    "c10/core/GeneratorImpl.h",
    "c10/core/StorageImpl.h",
    "c10/core/StreamGuard.h",
    "c10/core/impl/DeviceGuardImplInterface.h",
    "c10/core/impl/LocalDispatchKeySet.h",
    "torch/library.h",
)
# Class -> members that inline functions of the headers touch. An empty row asks for the size alone.
CLASSES: Mapping[str, str] = {
    "c10::TensorImpl": "storage_ autograd_meta_ extra_meta_ version_counter_ pyobj_slot_ sizes_and_strides_ "
    "storage_offset_ numel_ data_type_ device_opt_ key_set_",
    "c10::StorageImpl": "data_ptr_ size_bytes_ resizable_ allocator_ pyobj_slot_",
    "c10::intrusive_ptr_target": "refcount_ weakcount_ combined_refcount_",
    "c10::VariableVersion": "version_counter_",
    "c10::impl::SizesAndStrides": "size_",
    "c10::impl::PyObjectSlot": "pyobj_",
    "c10::Storage": "storage_impl_",
    "c10::DataPtr": "ptr_ device_",
    "c10::detail::UniqueVoidPtr": "data_ ctx_",
    "c10::Device": "type_ index_",
    "c10::Stream": "device_ id_",
    "c10::Event": "impl_",
    "c10::GeneratorImpl": "mutex_ device_ key_set_ pyobj_",
    "c10::TensorOptions": "device_ dtype_",
    "c10::Scalar": "tag v",
    "c10::SymInt": "data_",
    "c10::DispatchKeySet": "repr_",
    "c10::IValue": "payload tag",
    "c10::FunctionSchema": "name_ arguments_ returns_",
    "c10::Argument": "name_ type_ default_value_",
    "c10::OperatorHandle": "operatorDef_ operatorIterator_",
    "c10::impl::OperatorEntry": "name_ schema_ dispatchTable_ dispatchKeyExtractor_",
    "c10::KernelFunction": "boxed_kernel_func_ unboxed_kernel_func_ sym_unboxed_kernel_func_",
    "c10::BoxedKernel": "functor_ boxed_kernel_func_",
    "c10::impl::PODLocalDispatchKeySet": "included_ excluded_",
    "c10::Allocator": "",
    "c10::DeviceAllocator": "",
    "c10::Error": "msg_ backtrace_ what_",
    "c10::SourceLocation": "",
    "c10::impl::DeviceGuardImplInterface": "",
    "at::HostAllocator": "",
    "at::PrivateUse1HooksInterface": "",
    "torch::CppFunction": "dispatch_key_ func_ cpp_signature_ schema_",
    "torch::Library": "ns_ dispatch_key_",
}
VALUES = (
    *(f"c10::DeviceType::{name}" for name in ("CPU", "CUDA", "XLA", "Meta", "PrivateUse1")),
    *(f"c10::DispatchKey::{name}" for name in ("CPU", "CUDA", "PrivateUse1", "Autograd", "AutocastCPU")),
    *(
        f"c10::DispatchKey::{name}"
        for name in ("AutogradPrivateUse1", "AutocastPrivateUse1", "BackendSelect")
    ),
    *(f"c10::DispatchKey::{name}" for name in ("CompositeImplicitAutograd", "CompositeExplicitAutograd")),
    *(f"c10::ScalarType::{name}" for name in ("BFloat16", "QUInt8", "Float8_e4m3fn", "UInt16", "Undefined")),
    *(f"c10::MemoryFormat::{name}" for name in ("Contiguous", "ChannelsLast3d")),
    "c10::Layout::Strided",
)
_OPERATOR = re.compile(
    r"using schema = (?P<type>[^;]+);.*?"
    r'name(?:, |\s*=\s*)"aten::(?P<name>[^"]*)".*?overload_name(?:, |\s*=\s*)"(?P<overload>[^"]*)"',
    re.DOTALL,
)
SOURCE = "probe.cpp"
_ERROR = re.compile(r"^(?:\S*/)?([^/\s:]+):(\d+):\d+: (?:fatal )?error:", re.MULTILINE)
_ROUNDS = 6  # of a compiler that names what a torch lacks
_STANDARDS = ("c++20", "c++17")  # the first that the headers compile with
_FLAGS = ("-O0", "-fPIC", "-shared", "-fno-access-control", "-w", "-fmax-errors=0")
_TIMEOUT = 600  # seconds


def operator_types(headers: Iterable[str]) -> dict[str, str]:
    """Operator -> its C++ signature as the texts of ATen/ops/*_ops.h write it."""
    found = {}
    for text in headers:
        for match in _OPERATOR.finditer(text):
            name, overload = match["name"], match["overload"]
            found[f"{name}.{overload}" if overload else name] = " ".join(match["type"].split())
    return found


def probe(
    include: Path, work: Path, operators: Mapping[str, str], *, new_strings: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """The operators' readable types, and the layouts, by the compiler on torch's headers in `include`.

    Raises AbiError when there is no compiler, or the headers do not compile.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise AbiError(
            "a record asks torch's headers by compiling them, and there is no g++ here",
            hint="Install it: apt install g++",
        )
    facts = list(_facts())
    spelled = sorted(set(operators.values()))
    image = _compile(compiler, include, work, facts, spelled, new_strings)
    types = {text: name for text, name in zip(spelled, _types(image, len(spelled)), strict=True) if name}
    layouts = {name: value for (name, _), value in zip(facts, _numbers(image, len(facts)), strict=True)}
    return (
        {name: types[text] for name, text in operators.items() if text in types},
        {name: value for name, value in layouts.items() if value is not None},
    )


def _facts() -> Iterator[tuple[str, str]]:
    """The name of every number that is asked for, and the C++ for it."""
    for one, members in CLASSES.items():
        yield f"sizeof {one}", f"sizeof({one})"
        for member in members.split():
            yield f"offsetof {one}::{member}", f"PROBE_MEMBER({one}, {member})"
    for value in VALUES:
        yield f"value {value}", f"PROBE_VALUE({', '.join(value.rsplit('::', 1))})"


# A member or enumerator that a torch does not have is -1; a class that it does not have is an error, which
# is left out in a second round.
_START = ("#include <type_traits>", "#include <typeinfo>", "#include <utility>", "namespace at {")


def _declared(index: int, expression: str) -> str:
    """One line of C++ that makes `probe_number_N` of an expression."""
    name, _, rest = expression.partition("(")
    number = f'extern "C" const long probe_number_{index} = '
    if name == "sizeof":
        return f"{number}{expression};"
    of, member = (text.strip() for text in rest.rstrip(")").split(","))
    has = f"std::void_t<decltype({'std::declval<T&>().' if name == 'PROBE_MEMBER' else 'T::'}{member})>"
    value = (
        f"__builtin_offsetof(T, {member})" if name == "PROBE_MEMBER" else f"static_cast<long>(T::{member})"
    )
    return (
        f"template <class T, class = void> struct Probe{index} {{ static constexpr long value = -1; }}; "
        f"template <class T> struct Probe{index}<T, {has}> {{ static constexpr long value = {value}; }}; "
        f"{number}Probe{index}<{of}>::value;"
    )


def _compile(
    compiler: str,
    include: Path,
    work: Path,
    facts: Sequence[tuple[str, str]],
    spelled: Sequence[str],
    new_strings: bool,
) -> Image:
    """Compile, and leave out what this torch does not have, as the compiler names it."""
    lines = [f"#include <{name}>" for name in _INCLUDES if (include / name).is_file()]
    lines += _START
    asked = [_declared(index, text) for index, (_, text) in enumerate(facts)]
    asked += [
        f'extern "C" const std::type_info* const probe_type_{i} = &typeid({text});'
        for i, text in enumerate(spelled)
    ]
    command = [compiler, *_FLAGS, f"-D_GLIBCXX_USE_CXX11_ABI={int(new_strings)}", f"-I{include}"]
    command += [f"-I{include / 'torch/csrc/api/include'}", str(work / SOURCE), "-o", str(work / "probe.so")]
    message = ""
    for standard in _STANDARDS:
        wrong: set[int] = set()
        for _ in range(_ROUNDS):
            body = ["" if number in wrong else text for number, text in enumerate(asked, start=1)]
            (work / SOURCE).write_text("\n".join([*lines, *body, "}"]) + "\n", encoding="utf-8")
            message = _errors([*command, f"-std={standard}"])
            if not message:
                return _image(work / "probe.so")
            places = {(file, int(line) - len(lines)) for file, line in _ERROR.findall(message)}
            if not places or any(file != SOURCE or line < 1 for file, line in places):
                break  # it is not what is asked for that is wrong, but the headers themselves
            wrong |= {line for _, line in places}
    reason = next((line for line in message.splitlines() if "error:" in line), message.strip()[:300])
    raise AbiError(
        f"torch's headers do not compile: {reason}", hint="Record it with the g++ of Debian 12 or newer."
    )


def _errors(command: Sequence[str]) -> str:
    """What a compiler complains of; "" where it is content."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"error: not done after {_TIMEOUT} s"
    return "" if done.returncode == 0 else done.stderr or "error: it says nothing"


def _image(output: Path) -> Image:
    try:
        return read_image(output.name, output.read_bytes())
    except NotAnElfFileError as error:
        raise AbiError(f"what the compiler made of torch's headers cannot be read: {error}") from None


def _numbers(image: Image, count: int) -> Iterator[int | None]:
    for index in range(count):
        at = image.addresses.get(f"probe_number_{index}")
        number = None if at is None else image.number(at, 8, signed=True)
        yield None if number == -1 else number


def _types(image: Image, count: int) -> Iterator[str]:
    for index in range(count):
        at = image.addresses.get(f"probe_type_{index}")
        word = image.words.get(at) if at is not None else None
        yield readable_type(word.removeprefix("_ZTI")) if isinstance(word, str) else ""
