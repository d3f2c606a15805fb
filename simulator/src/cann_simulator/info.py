"""What this simulator is and what it would do here, without loading anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cann_simulator import environment

try:
    from importlib import metadata
except ImportError:  # Python 3.7: the versions are not compared there
    metadata = None  # type: ignore[assignment]

DEFAULTS = {"devices": "2", "memory": "2G", "soc": "Ascend910B1", "cann": "9.1.0"}


def _torch_clauses() -> list[tuple[str, str]]:
    """What the installed wheel asks of torch: `==2.13.0`, or `>=2.13.0`, `<=2.14.1` and `!=2.14.0`."""
    if metadata is None:
        return []
    try:
        requirements = metadata.requires("cann_simulator") or []
    except metadata.PackageNotFoundError:
        return []
    pins = (requirement for requirement in requirements if re.match(r"torch\s*\(?[=<>!]", requirement))
    return re.findall(r"(==|>=|<=|!=)\s*([0-9][0-9.]*)", next(pins, ""))


def served_torch() -> str | None:
    """The torch version that the operators were built for, from the installed wheel; None without one."""
    return next((version for operator, version in _torch_clauses() if operator in ("==", ">=")), None)


def installed_torch() -> str | None:
    """The installed torch's version without a local part such as +cpu; None without torch."""
    if metadata is None:
        return None
    try:
        return metadata.version("torch").split("+")[0]
    except metadata.PackageNotFoundError:
        return None


def torch_mismatch() -> str | None:
    """One sentence when the installed torch is not the one served."""
    served, installed = served_torch(), installed_torch()
    if served is None or installed is None or all(_admits(*one, installed) for one in _torch_clauses()):
        return None
    return (
        f"this simulator's operators are built for torch {served}, installed is torch {installed}; "
        f"take the simulator for torch {installed}, or install torch=={served}"
    )


def _admits(operator: str, version: str, installed: str) -> bool:
    wanted, found = ([int(part) for part in re.findall(r"\d+", text)] for text in (version, installed))
    if operator in ("==", "!="):
        return (version == installed) == (operator == "==")
    return found >= wanted if operator == ">=" else found <= wanted


def operators() -> list[str]:
    """The aclnn operators that libopapi has, read from its symbol names."""
    try:
        names = re.findall(
            rb"\0(aclnn\w+?)GetWorkspaceSize(?=\0)", (environment.LIBRARIES / "libopapi.so").read_bytes()
        )
    except FileNotFoundError:
        return []
    return sorted({name.decode("ascii") for name in names})


def collect(environ: Mapping[str, str]) -> dict[str, Any]:
    """Everything `cann-simulator info` shows, as JSON values."""
    libraries = sorted(path.name for path in environment.LIBRARIES.glob("*.so"))
    return {
        "home": str(environment.HOME),
        "libraries": libraries,
        "operators": operators(),
        "torch": {"served": served_torch(), "installed": installed_torch(), "problem": torch_mismatch()},
        "active": environment.active(environ),
        "other_cann": environment.other_cann(environ),
        "simulates": {
            name: environ.get("CANN_SIMULATOR_" + name.upper()) or default
            for name, default in DEFAULTS.items()
        },
        "visible_devices": environ.get("ASCEND_RT_VISIBLE_DEVICES"),
    }


def text(facts: Mapping[str, Any]) -> str:
    """The same for people."""
    simulates = facts["simulates"]
    torch = facts["torch"]
    lines = [
        "home          {}".format(facts["home"]),
        "simulates     {devices} x {soc}, {memory} each, CANN {cann}".format(**simulates),
        "operators     {} aclnn operators".format(len(facts["operators"])),
        "torch         built for {}, installed {}".format(
            torch["served"] or "unknown", torch["installed"] or "none"
        ),
        "in this shell {}".format(
            "yes" if facts["active"] else "no; source set_env.sh or use 'cann-simulator run'"
        ),
    ]
    if facts["visible_devices"] is not None:
        lines.append("visible       ASCEND_RT_VISIBLE_DEVICES={}".format(facts["visible_devices"]))
    if facts["other_cann"] is not None:
        lines.append("conflict      {}".format(facts["other_cann"]))
    if torch["problem"] is not None:
        lines.append("problem       {}".format(torch["problem"]))
    return "\n".join(lines)
