"""The exact commands that install one offer, step by step."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from wheelmill.console import Expanded, shell_line
from wheelmill.matrix.model import Matrix, abi_tag
from wheelmill.matrix.versions import cann_key, version
from wheelmill.pick.model import LABELS, Offer, Step
from wheelmill.pick.words import say

T = TypeVar("T")
SCRIPT = "set_env.sh"  # of a toolkit whose place no matrix tells
LOCAL_INDEX = ".wheelmill/publish/index/simple/"
INDEX_VARIABLE = "WHEELMILL_INDEX_URL"
REQUIREMENTS = "torch_npu.txt"
DEPENDENCIES = ("pyyaml", "setuptools", "numpy")
# A name and plain versions, which need no parser.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\(?[=<>~!]=?=?[A-Za-z0-9.*+!, <>=~]*\)?)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def steps(
    matrix: Matrix,
    offer: Offer,
    had: str | None = None,
    index: str | None = None,
    script: str | None = None,
) -> tuple[Step, ...]:
    """Torch, its companions, the adapter's wheel, and CANN's environment.

    `had` is the CANN that is there, `script` what loads it where this machine has it; `index` the address of
    the index with this project's releases.
    """
    named = had or offer.cann
    cann = f"CANN {named}" if named is not None else "CANN"
    needed = tuple(shell_line("pip3", "install", one) for one in dependencies_of(matrix, offer))
    imported = toolkit_imports(matrix, offer.cann)
    return (
        _torch(matrix, offer),
        Step(
            say("install dependencies of both" if imported else "install dependencies"),
            (*needed, *((shell_line("pip3", "install", *imported),) if imported else ())),
        ),
        _adapter(offer, index),
        Step(
            say("load here" if script else "load", cann=cann),
            (shell_line("source", script or _places(matrix, named)[0]),),
            () if script else _elsewhere(matrix, named, offer.arch),
        ),
    )


def toolkit_imports(matrix: Matrix, cann: str | None) -> tuple[str, ...]:
    """What the Python packages of a toolkit import: nothing declares it, and its operators need it."""
    return _since(matrix.document.cann_python, cann) or ()


def _elsewhere(matrix: Matrix, cann: str | None, arch: str) -> tuple[str, ...]:
    """What to do where the default place has nothing: of a version that nobody told, look at the others."""
    if cann is None:
        return tuple(shell_line("source", one) for one in _places(matrix, None)[1:])
    return _installers(matrix, cann, arch)


def _installers(matrix: Matrix, cann: str | None, arch: str) -> tuple[str, ...]:
    """How a toolkit is installed that is not there, from files that its download page gives."""
    names = (_since(matrix.document.cann_installers, cann) if cann is not None else None) or ()
    return tuple(shell_line("bash", one.format(cann=cann, arch=arch), "--install") for one in names)


def loaded_script(environment: Mapping[str, str]) -> str | None:
    """The script of the toolkit whose environment is loaded, where that tells its place."""
    home = Path(environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME") or "")
    if not home.is_absolute():
        return None
    places = (folder / SCRIPT for folder in (home, home.parent))
    return next((str(one) for one in places if os.access(one, os.R_OK)), None)


def sourcing(matrix: Matrix, cann: str | None = None) -> tuple[str, ...]:
    """The command that loads a toolkit where root has installed it, by default.

    Of a version that nobody told, one for each place, the newest first, with the versions that are there.
    """
    commands = [shell_line("source", one) for one in _places(matrix, cann)]
    moved = sorted(matrix.document.cann_set_env, key=cann_key, reverse=True)[: len(commands)]
    if len(commands) == 1:
        return (commands[0],)
    of = [f"{LABELS['cann']} {moved[0]} and newer", *(f"before {one}" for one in moved)]
    return tuple(f"{command}   # {which}" for command, which in zip(commands, of, strict=False))


def _places(matrix: Matrix, cann: str | None) -> tuple[str, ...]:
    """The scripts that load a toolkit by default: that of its version, else all of them, the newest first."""
    known = matrix.document.cann_set_env
    newest_first = [known[one] for one in sorted(known, key=cann_key, reverse=True)]
    if cann is None:
        return tuple(newest_first) or (SCRIPT,)
    return (_since(known, cann) or (newest_first[-1] if newest_first else SCRIPT),)


def _since(known: Mapping[str, T], cann: str | None) -> T | None:
    """What holds from the last of the versions that this one is not older than; unknown is the newest."""
    since = [one for one in known if cann is None or cann_key(one) <= cann_key(cann)]
    return known[max(since, key=cann_key)] if since else None


def dependencies_of(matrix: Matrix, offer: Offer) -> tuple[str, ...]:
    """What has to be there besides torch: by the matrix, else by the wheel's own METADATA."""
    torch = matrix.torches.get(offer.built_for or offer.torch)
    if torch is not None and torch.dependencies:
        return torch.dependencies
    asked = offer.wheel.requires or () if offer.wheel is not None else ()
    own = [one for one in asked if _name(one) not in ("torch", "") and one not in unnamed(offer)]
    named = {_name(one) for one in own}
    return (*own, *(one for one in DEPENDENCIES if one not in named))


def unnamed(offer: Offer) -> tuple[str, ...]:
    """What a wheel asks for otherwise than by name: an address, an option of pip, or no requirement at all.

    Nobody is told to install these; who made the wheel could make them anything.
    """
    asked = offer.wheel.requires or () if offer.wheel is not None else ()
    return tuple(one for one in asked if not (_PLAIN.fullmatch(one) or _is_requirement(one)))


def _is_requirement(text: str) -> bool:
    from wheelmill.matrix.forms import requirement  # parsing takes longer to import than an answer to make

    try:
        requirement(text)
    except ValueError:
        return False
    return True


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found[0].lower() if found else ""


def torch_requirement(matrix: Matrix, offer: Offer) -> tuple[str, str | None]:
    """`torch==X` and the index that has it; None for the one that pip is configured with."""
    return torch_without_cuda(matrix, offer.torch, offer.arch)


def torch_without_cuda(matrix: Matrix, torch: str, arch: str) -> tuple[str, str | None]:
    """The requirement of a torch that brings no CUDA, and its index where that is not the usual one.

    On x86_64 wheels before 2.12.0.post3 ask for the `+cpu` of it, later ones take it.
    """
    with_cuda = matrix.document.torch_with_cuda.get(arch)
    if arch == "x86_64" or (with_cuda is not None and version(torch) >= version(with_cuda)):
        return f"torch=={torch}+cpu", matrix.document.torch_cpu_index
    return f"torch=={torch}", None


def _torch(matrix: Matrix, offer: Offer) -> Step:
    requirement, index = torch_requirement(matrix, offer)
    words = ["pip3", "install", requirement, *(["--index-url", index] if index else [])]
    torch = matrix.torches.get(offer.torch)
    wheel = torch.wheel(offer.python, offer.arch) if torch is not None else None
    link = wheel.url if wheel is not None else None
    fallback = (shell_line("pip3", "install", f"{link}#sha256={wheel.sha256}"),) if wheel and link else ()
    return Step(say("install torch", version=offer.torch), (shell_line(*words),), fallback)


def _adapter(offer: Offer, index: str | None) -> Step:
    title = say("install adapter", version=offer.adapter)
    if offer.how == "index":
        return Step(title, _from_index(offer, index))
    line = offer.line
    assert line is not None
    if offer.how == "download":
        name = f"torch_npu-{offer.adapter}-{_tags(offer)}-linux_{offer.arch}.whl"
        return Step(
            title, (shell_line("wget", f"{line.download}/{name}"), shell_line("pip3", "install", name))
        )
    build = shell_line("nox", "-s", f"build-{offer.python}-{offer.arch}", "--", "--line", line.branch)
    install = ["pip3", "install", "--no-deps", "--index-url", Expanded(f'"file://$PWD/{LOCAL_INDEX}"')]
    return Step(
        say("build adapter", version=offer.adapter),
        (build, shell_line(*install, f"torch_npu=={offer.adapter}")),
    )


def _from_index(offer: Offer, index: str | None) -> tuple[str, ...]:
    """With the wheel's hash where it is known: pip then takes this file or none."""
    wanted = f"torch_npu=={offer.adapter}"
    pip = ["pip3", "install", "--no-deps", *(own_index(index) if offer.released_here else ())]
    if offer.wheel is None or offer.wheel.sha256 is None:
        return (shell_line(*pip, wanted),)
    pinned = f"{wanted} --hash=sha256:{offer.wheel.sha256}"
    return (
        f"{shell_line('printf', '%s', pinned)} > {REQUIREMENTS}",
        shell_line(*pip, "-r", REQUIREMENTS),
    )


def own_index(index: str | None) -> tuple[str, str]:
    """Where this project's releases are; an address that nobody told is asked for by the shell itself."""
    unknown = Expanded(f'"${{{INDEX_VARIABLE}:?set it to the index that has this release}}/simple/"')
    return "--index-url", unknown if index is None else f"{index}/simple/"


def _tags(offer: Offer) -> str:
    """`cp38-cp38`, `cp37-cp37m`"""
    return f"cp{offer.python.replace('.', '')}-{abi_tag(offer.python)}"


def pins(matrix: Matrix, offer: Offer, own: str | None = None) -> tuple[str, ...]:
    """Lines of a requirements file with every hash that matrix and catalogue know: of torch, of the wheel.

    For `pip install --no-deps --require-hashes -r FILE`; what has no known hash is left out. `own` is the
    address of the index with this project's releases; without one, installers take it from the environment.
    """
    requirement, index = torch_requirement(matrix, offer)
    torch, build = matrix.torches.get(offer.torch), "cpu" if requirement.endswith("+cpu") else "default"
    wheels = torch.wheels if torch is not None else ()
    wanted = (offer.python, offer.arch, build)
    hashes = [one.sha256 for one in wheels if (one.python, one.arch, one.build) == wanted]
    lines = [f"--extra-index-url {index}"] if index and hashes else []
    if hashes:
        lines.append(" ".join([requirement, *(f"--hash=sha256:{one}" for one in hashes)]))
    if offer.how == "index" and offer.wheel is not None and offer.wheel.sha256 is not None:
        if offer.released_here:
            lines.append(f"--extra-index-url {own or f'${{{INDEX_VARIABLE}}}'}/simple/")
        lines.append(f"torch_npu=={offer.adapter} --hash=sha256:{offer.wheel.sha256}")
    return tuple(lines)


def with_uv(commands: Sequence[str]) -> tuple[str, ...]:
    """The same commands for uv."""
    return tuple(re.sub(r"^pip3 install\b", "uv pip install", one) for one in commands)


def dockerfile(steps: Sequence[Step], installer: str = "pip") -> tuple[str, ...]:
    """Lines for a Dockerfile whose base image has CANN and this Python; CANN's environment is the image's.

    An address that nobody told is an argument of the build.
    """
    lines = ["RUN " + " \\\n && ".join(_in_image(step.commands, installer)) for step in steps[:-1]]
    asks = any(INDEX_VARIABLE in one for one in lines)
    return (*([f"ARG {INDEX_VARIABLE}"] if asks else []), *lines)


def _in_image(commands: Sequence[str], installer: str) -> list[str]:
    """Without a cache that stays in the image; uv installs into the image's Python."""
    if installer == "uv":
        into = "uv pip install --system --no-cache"
        return [re.sub(r"^uv pip install\b", into, one) for one in with_uv(commands)]
    return [re.sub(r"^pip3 install\b", "pip3 install --no-cache-dir", one) for one in commands]
