"""What `wheelmill init` makes of a project: its setup.py and pyproject.toml are read, and never run."""

from __future__ import annotations

import ast
import configparser
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from wheelmill.describe.text import loads
from wheelmill.errors import WheelmillError
from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.matrix.versions import specifiers

_EXTENSIONS = ("Extension", "CppExtension", "CUDAExtension", "NpuExtension", "Pybind11Extension")


class GuessError(WheelmillError):
    """The files of a project cannot be read."""


@dataclass(frozen=True)
class KnownSdk:
    """An SDK that is recognized; see sdks.yaml."""

    name: str
    libraries: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    pin: str | None = None
    runner: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guess:
    """What the files of a project say; None and empty where they say nothing.

    `stable_abi` tells that one wheel is tagged for all Pythons.
    """

    package: str | None = None
    module: str | None = None
    requires_python: str | None = None
    sdks: tuple[KnownSdk, ...] = ()
    stable_abi: bool = False
    version: str | None = None

    def admits(self, python: str) -> bool:
        """Whether the project says that it runs on a Python such as 3.11."""
        try:
            return specifiers(self.requires_python or "").contains(python)
        except ValueError:
            return True


@dataclass
class _Said:
    """What is gathered from one file after another; the first word counts."""

    names: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    pythons: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    stable_abi: bool = False


def guess(root: Path) -> Guess:
    """Read the files of a project's folder. Raises GuessError for what is no Python or TOML."""
    said = _Said()
    _pyproject(root / "pyproject.toml", said)
    _setup_cfg(root / "setup.cfg", said)
    _setup_py(root / "setup.py", said)
    known = known_sdks()
    wanted = [name for name in known if name in said.uses]
    needed = {needed for name in wanted for needed in known[name].needs}
    package = said.names[0] if said.names else None
    return Guess(
        package,
        said.modules[0] if said.modules else _module(root, package),
        said.pythons[0] if said.pythons else None,
        tuple(sdk for name, sdk in known.items() if name in needed.union(wanted)),
        said.stable_abi,
        said.versions[0] if said.versions else None,
    )


def known_sdks() -> Mapping[str, KnownSdk]:
    """The table of sdks.yaml, in its order: an SDK after those that it needs."""
    import yaml

    rows = yaml.safe_load(Path(__file__).with_name("sdks.yaml").read_text(encoding="utf-8"))
    found: dict[str, KnownSdk] = {}
    for name, row in rows.items():
        fields: dict[str, Any] = {
            key: tuple(one) if isinstance(one, list) else one for key, one in row.items()
        }
        found[name] = KnownSdk(name, **fields)
    return found


def _text(file: Path) -> str | None:
    try:
        return read_regular(file, MAX_TEXT).decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise GuessError(f"{file} cannot be read: {error}") from None


def _module(root: Path, package: str | None) -> str | None:
    """The one package in the folder, or what the distribution's name suggests."""
    found = [
        path.parent.name for place in (root, root / "src") for path in sorted(place.glob("*/__init__.py"))
    ]
    named = None if package is None else re.sub(r"[-.]+", "_", package)
    return named if named in found or len(set(found)) != 1 else found[0]


# ------------------------------------------------------------------------------------------------------ files
def _pyproject(file: Path, said: _Said) -> None:
    text = _text(file)
    if text is None:
        return
    try:
        values = loads(text)
    except ValueError as error:
        raise GuessError(f"{file}: {error}", hint="correct the TOML, then run this again") from None
    project, system = (_table(values.get(name)) for name in ("project", "build-system"))
    said.names += _strings([project.get("name")])
    said.pythons += _strings([project.get("requires-python")])
    said.versions += _versions([project.get("version")])
    for required in (system.get("requires"), project.get("dependencies")):
        said.uses.update(_required(_strings(required if isinstance(required, list) else ())))


def _table(value: Any) -> Mapping[str, Any]:
    """A table of TOML; an empty one for what is none, which the build tells of."""
    return value if isinstance(value, dict) else {}


def _setup_cfg(file: Path, said: _Said) -> None:
    text = _text(file)
    if text is None:
        return
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(text)
    except configparser.Error as error:
        raise GuessError(f"{file}: {str(error).splitlines()[0]}") from None
    said.names += _strings([config.get("metadata", "name", fallback=None)])
    said.pythons += _strings([config.get("options", "python_requires", fallback=None)])
    said.versions += _versions([config.get("metadata", "version", fallback=None)])
    said.uses.update(_required(config.get("options", "install_requires", fallback="").splitlines()))
    said.stable_abi |= config.has_option("bdist_wheel", "py_limited_api")


def _setup_py(file: Path, said: _Said) -> None:
    text = _text(file)
    if text is None:
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GuessError(f"{file} is no Python: {error}") from None
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            said.uses.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            said.uses.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call):
            _call(node, constants, said)
        elif isinstance(node, ast.Dict):  # options={"bdist_wheel": {"py_limited_api": "cp310"}}
            said.stable_abi |= "py_limited_api" in map(_constant, node.keys)


def _call(node: ast.Call, constants: Mapping[str, str], said: _Said) -> None:
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    words = {word.arg: _constant(word.value, constants) for word in node.keywords if word.arg}
    if function == "setup":
        said.names += _strings([words.get("name")])
        said.pythons += _strings([words.get("python_requires")])
        said.versions += _versions([words.get("version")])
    elif function in _EXTENSIONS:
        first = _constant(node.args[0], constants) if node.args else words.get("name")
        said.modules += [name.partition(".")[0] for name in _strings([first])]


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that a file gives a text to, such as `NAME = "crc-demo"`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(text := _constant(node.value), str):
            yield from ((target.id, text) for target in node.targets if isinstance(target, ast.Name))


def _constant(node: ast.expr | None, constants: Mapping[str, str] | None = None) -> Any:
    if isinstance(node, ast.Name):
        return (constants or {}).get(node.id)
    return node.value if isinstance(node, ast.Constant) else None


def _strings(values: Iterable[Any]) -> list[str]:
    return [value.strip() for value in values if isinstance(value, str) and value.strip()]


def _versions(values: Iterable[Any]) -> list[str]:
    """Those that are versions; `attr: module.__version__` of a setup.cfg is none."""
    found = []
    for text in _strings(values):
        with suppress(ValueError):
            found.append(str(Version(text)))
    return found


def _required(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            yield Requirement(text).name.replace("-", "_").lower()
        except InvalidRequirement:
            continue  # the build tells of it


# ---------------------------------------------------------------------------------------------------- writing
@dataclass(frozen=True)
class Answers:
    """What goes into the file: what was guessed, as far as nobody said otherwise. `axes` in their order.

    `torch_index` is proposed for torch: it has builds without CUDA. `without` are files that no build reads.
    """

    package: str
    sdks: tuple[KnownSdk, ...]
    axes: Mapping[str, tuple[str, ...]]
    program: str | None
    stable_abi: bool = False
    torch_index: str | None = None
    without: tuple[str, ...] = ()


def render(answers: Answers) -> str:
    """The project file as TOML, with a word on what each table is for."""
    more = '\nshared = ["python"]  # one wheel for all Pythons' if answers.stable_abi else ""
    if answers.without:
        more += f"\nwithout = {_toml(answers.without)}  # a change of these makes no wheel stale"
    blocks = [
        "# How wheels of this project are made. `wheelmill project schema` knows every field.\n"
        f"schema = 1\npackage = {_toml(answers.package)}\naxes = {_toml(answers.axes)}",
        f'[build]\nhow = "pep517"  # the build backend that pyproject.toml names{more}',
        *(_sdk_block(sdk, answers.torch_index) for sdk in answers.sdks),
    ]
    pins = [sdk.pin for sdk in answers.sdks if sdk.pin]
    if pins:
        local = ".".join(f"{sdk.name}{{{sdk.name}}}" for sdk in answers.sdks if sdk.pin)
        blocks.append(
            f"[wheel]  # wheels for two SDKs differ by the local version\nlocal = {_toml(local)}\n"
            f"requires = {_toml(pins)}"
        )
    blocks.append('[audit]\nrules = []  # beside the specifications: "torch-pin", "license-expression", ...')
    if answers.program is not None:
        blocks.append(_smoke_block(answers))
    cells = ", ".join(f"{axis} = {_toml(values)}" for axis, values in answers.axes.items())
    blocks.append(f'[[lines]]\nname = "main"\ncells = {{ {cells} }}')
    return "\n\n".join(blocks) + "\n"


def _sdk_block(sdk: KnownSdk, torch_index: str | None) -> str:
    lines = [f"[sdks.{sdk.name}]"]
    if sdk.needs:
        lines.append(f"needs = {_toml(sdk.needs)}")
    lines.append(f"libraries = {_toml(sdk.libraries)}  # what it brings when a wheel runs")
    if sdk.name == "torch" and torch_index is not None:
        lines.append(f"# index = {_toml(torch_index)}  # without CUDA: 0.2 GB to download instead of 0.9")
    return "\n".join(lines)


def _smoke_block(answers: Answers) -> str:
    lines = [f"[smoke]\nprogram = {_toml(answers.program)}"]
    for name in ("runner", "requires"):
        words = [word for sdk in answers.sdks for word in getattr(sdk, name)]
        if words:
            lines.append(f"{name} = {_toml(words)}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """A text or a list of texts; JSON's form of them is TOML's too."""
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)
