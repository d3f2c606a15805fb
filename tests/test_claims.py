"""What pages and comments claim of the tree, held against the tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from wheelmill.matrix import load
from wheelmill.pick.failures import failures

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "release" / "wheelmill"
# These run as programs of their own, in an environment under test, a container or a build.
PROGRAMS = (
    "prove/accept/capabilities/",
    "prove/smoke/probe.py",
    "make/engines/bundle_backend.py",
    "make/packages/confine.py",
    "pick/doctor/import_probe.py",
    "pick/doctor/interpreter_probe.py",
)
# A shell of a user's own is opened there, in the midst of a build: it says so itself.
SHELL = "make/engines/docker.py"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of wheelmill that runs in its own process, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(PROGRAMS):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def prints(tree: ast.Module) -> bool:
    """Whether a module writes to the terminal by print or click."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    return "print" in names or bool(methods & {"echo", "secho"})


def test_only_the_console_prints() -> None:
    assert [name for name, tree in modules() if prints(tree)] == ["console.py", SHELL]


def test_json_is_read_by_one_function() -> None:
    """`json.loads` ends in a RecursionError for a file of brackets; `limits.parse_json` in a ValueError."""
    reading = [
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("load", "loads")
        and isinstance(node.value, ast.Name) and node.value.id == "json"
    ]  # fmt: skip
    assert reading == ["limits.py"]


def test_no_version_of_others_is_believed_to_be_short() -> None:
    """One of 5000 digits is no InvalidVersion but a ValueError of Python's, which both errors are."""
    importing = [
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and {"InvalidVersion", "InvalidSpecifier"} & {one.name for one in node.names}
    ]
    assert importing == []


def test_only_compat_h_knows_the_torch_version() -> None:
    """Neither C++ nor what generates it; the flag itself comes from cann/cmake/torch_sdk.cmake."""
    folders = ("adapter/core", "adapter/glue", "adapter/ops", "cann", "simulator")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    sources = [path for path in files if path.suffix in (".cpp", ".h", ".py", ".yaml")]
    assert len(sources) > 150
    knowing = [path for path in sources if re.search(r"\bNPU_TORCH\b", path.read_text(encoding="utf-8"))]
    assert [path.relative_to(ROOT).as_posix() for path in knowing] == [
        "adapter/glue/compat.h",
        "simulator/aclnn/compat.h",
    ]


def test_the_builder_images_have_one_recipe() -> None:
    """A build context cannot reach its neighbor, so it stands in both folders: the two may not come apart."""
    folders = (ROOT / "docker" / "X86", ROOT / "docker" / "ARM")
    texts = [(folder / "Dockerfile").read_text(encoding="utf-8") for folder in folders]
    first, second = (text.partition("\nFROM ")[2] for text in texts)
    assert first
    assert first == second
    assert (folders[0] / "tools.txt").read_bytes() == (folders[1] / "tools.txt").read_bytes()


def test_the_simulator_plays_the_cann_of_the_development_line() -> None:
    lines = load(ROOT / "matrix" / "compat.yaml").lines
    newest = next(line.cann for line in lines if line.kind == "development")
    named = {
        "runtime/config.h": r'std::string cann = "([^"]+)"',
        "src/cann_simulator/info.py": r'"cann": "([^"]+)"',
        "src/cann_simulator/options.py": r"such as 7\.0\.RC1 \(([^)]+)\)",
        "README.md": r"`CANN_SIMULATOR_CANN` \| ([^ ]+) \|",
    }
    for file, pattern in named.items():
        found = re.findall(pattern, (ROOT / "simulator" / file).read_text(encoding="utf-8"))
        assert set(found) == {newest}, file


def test_the_rooms_are_those_of_the_contract() -> None:
    """CONTRIBUTING lists the rooms in the order that import-linter enforces, left to right."""
    if tomllib is None:
        pytest.skip("tomllib came with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    order = [name.removeprefix("wheelmill.") for layer in reversed(layers) for name in layer.split(" | ")]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = text.partition("<!-- rooms -->")[2].partition("<!-- /rooms -->")[0]
    listed = [name for name in re.findall(r"^\| `(\w+)` \|", block, re.MULTILINE) if name != "pick"]
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(listed) | {"pick"} == folders
    assert sorted(listed, key=order.index) == listed


# How often each room's code names the adapter or its SDK. Rooms without an entry are to stay without.
NAMED = {
    "catalogue": 5,
    "cli": 24,
    "matrix": 41,
    "pick": 137,
    "prove": 47,
}


def test_the_platform_names_the_adapter_no_more_often() -> None:
    """Other projects are to use it: names belong into data. Take a number down when it falls."""
    found = dict.fromkeys(NAMED, 0)
    for path in sorted(PACKAGE.rglob("*.*")):
        room = path.relative_to(PACKAGE).parts[0]
        if path.is_file() and path.suffix not in (".pyc", ".yaml") and room != "data":
            names = re.findall(r"torch_npu|torch-npu|CANN", path.read_text(encoding="utf-8"))
            found[room] = found.get(room, 0) + len(names)
    risen = {room: count for room, count in found.items() if count > NAMED.get(room, 0)}
    assert risen == {}, f"more than {NAMED} allows: name it in the matrix or in other data"


def test_no_module_lies_loose_in_the_package() -> None:
    loose = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert loose == {"console", "cxx_names", "errors", "frozen", "limits", "progress", "project"}


_INSTALLER = re.compile(
    r"\b(?:(?:uv )?pip3?|uv tool|pipx|poetry|conda)[\"', ]+(?:install|add|run|download)\b"
    r"|\buv add\b|\buvx\b|\buv run --with\b"
)
# What others own on the public index, and readers may be told to install from there.
THEIRS = {
    "absl-py", "attrs", "cffi", "cloudpickle", "cmake", "conda-forge", "decorator", "libstdcxx-ng",
    "ml-dtypes", "numpy", "pathlib2", "protobuf", "psutil", "pytest", "pytest-asyncio", "pytest-mock",
    "pytest-timeout", "pyyaml", "requests", "scipy", "sympy", "torch", "torch-npu", "tornado", "uv",
}  # fmt: skip


def told_to_install(text: str) -> Iterator[str]:
    """The bare names in each installer's command of a text, normalized; not files, folders and variables.

    A command with an index of its own, or without any, fetches from there, so its names are left out.
    """
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():  # a command may go on in the next line
        for found in _INSTALLER.finditer(line):
            words = re.split(r"[\s\"',()`]+", re.split(r"[|;&>`]| #", line[found.end() :])[0])
            if any(word.startswith(("--index-url", "--index", "--no-index")) for word in words):
                continue
            for word in words:
                name = re.fullmatch(r"([a-zA-Z][a-zA-Z0-9._-]*)(\[[^]]*\])?([=<>~!].*)?", word)
                if name and not name[1].endswith((".whl", ".txt", ".toml")):
                    yield re.sub(r"[-_.]+", "-", name[1]).lower()


def tracked(*patterns: str) -> list[str]:
    """The files of the repository."""
    command = ["git", "ls-files", *patterns]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


@cache
def own_names() -> set[str]:
    """The projects of this checkout that nobody has registered on the public index."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in tracked("*pyproject.toml")]
    named = {found[1] for text in texts for found in re.finditer(r'(?m)^name = "([^"]+)"', text)}
    return {name.replace("_", "-") for name in named} - THEIRS


def test_nobody_is_told_to_install_a_name_that_this_project_does_not_own() -> None:
    """Whoever registers such a name on a public index would run code on the reader's machine.

    Every file of the tree but the tests, which may name what they install.
    """
    assert own_names() >= {"wheelmill", "cann-simulator"}
    files = [name for name in tracked() if "tests/" not in name and not name.endswith(".xz")]
    assert len(files) > 800
    told = {
        (name, one)
        for name in files
        for one in told_to_install((ROOT / name).read_text(encoding="utf-8"))
        if one in own_names()
    }
    assert told == set()


def test_what_pages_and_cures_have_installed_is_known_to_be_others() -> None:
    """A name that is new in a page, or in the cure of a failure, is looked at once, and added to THEIRS."""
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in tracked("*.md")]
    fenced = [line for text in pages for block in text.split("```")[1::2] for line in block.splitlines()]
    cures = [command for one in failures() for command in one.commands]
    told = {
        name for line in (*fenced, *cures) for name in told_to_install(line) if f" {name.upper()}" not in line
    }
    assert told - THEIRS == set()
    assert {"torch", "torch-npu", "numpy"} <= told


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("pip install wheelmill", True), ("pip3 install -U 'wheelmill[make]==1'", True),
        ("uvx wheelmill", True), ("uv add wheelmill", True),
        ('run("pip", "install", "-q", "wheelmill")', True),
        ("`pipx install wheelmill`", True), ("pip install -q \\\n    torch wheelmill", True),
        ("uv pip install wheelmill>=1", True),
        ("pip install ./wheelmill", False), ("pip install -e '.[make]'", False),
        ("pip install --index-url https://HOST/ wheelmill", False),
        ("pip install wheelmill-1-py3.whl", False),
    ],
)  # fmt: skip
def test_a_name_is_found_however_it_is_installed(line: str, there: bool) -> None:
    assert ("wheelmill" in set(told_to_install(line))) == there


def test_each_folder_of_the_repository_is_in_the_table_of_folders() -> None:
    """What a program left behind, such as a cache, is not committed beside them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| folder |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {re.split("[/`]", path)[1] for cell in cells for path in re.findall(r"`[\w./]+", cell)}
    folders = {path.partition("/")[0] for path in tracked() if "/" in path}
    assert {folder for folder in folders if not folder.startswith(".")} == listed


def test_every_test_file_is_collected() -> None:
    """A folder that pytest passes over would be tests that never run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    collected = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert files - collected == set()
