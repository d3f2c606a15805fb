"""Runs inside the environment under test, on its Python (3.7 and newer): imports, runs the example, compares.

`probe.py absent OUT` without a simulator; `probe.py formats OUT` and `probe.py example FILE OUT
[--named-simulated]` under it. What was found is written to OUT as JSON; an unmet expectation is a sentence on
stderr and exit code 1. Needs the standard library and what the wheels under test bring.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import platform
import runpy
import sys
from pathlib import Path
from typing import Any, NoReturn

# float32 products of two 2x2 matrices: a few units in the last place.
TOLERANCE = 1e-5
PACKAGES = ("torch", "torch_npu", "cann-simulator")


def absent(out: Path) -> None:
    """Without CANN the import works, no device is there, and the first use says what to do."""
    torch: Any = importlib.import_module("torch")
    importlib.import_module("torch_npu")
    if torch.npu.is_available():
        _fail("torch.npu.is_available() is True although neither CANN nor the simulator is set up")
    if torch.npu.device_count() != 0:
        _fail(f"torch.npu.device_count() is {torch.npu.device_count()} without any NPU")
    try:
        torch.ones(1).npu()
    except Exception as error:
        message = str(error)
    else:
        _fail("a tensor was moved to an NPU that does not exist")
    if "CANN" not in message:
        _fail(f"the error of the first use does not tell what is missing: {message}")
    _write(out, {"versions": _versions(), "message": message})


def example(script: Path, out: Path, *options: str) -> None:
    """The example's z is on the NPU and equals the product of the same x and y on the CPU.

    With --named-simulated the device's name must say that it is simulated; other makers' wheels give CANN's.
    """
    torch: Any = importlib.import_module("torch")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        names = runpy.run_path(str(script))
    print(printed.getvalue(), end="")
    x, y, z = names["x"], names["y"], names["z"]
    if z.device.type != "npu":
        _fail(f"the result is on {z.device}, not on an npu device")
    device = torch.npu.get_device_name(z.device.index)
    if "--named-simulated" in options and "simul" not in device.lower():
        _fail(f"the device calls itself {device!r}, which does not say that it is simulated")
    error = (z.cpu() - x.cpu().mm(y.cpu())).abs().max().item()
    # A NaN compares false with everything, so the bound is asked this way round.
    if not error <= TOLERANCE:
        _fail(f"the result differs from the CPU's by {error}, more than {TOLERANCE}")
    if "aten::mm" in _fallbacks(torch):
        _fail("mm ran on the CPU as a fallback and not as an NPU operator")
    found = {
        "versions": _versions(),
        "device": device,
        "max_error": error,
        "printed": printed.getvalue().rstrip("\n"),
    }
    _write(out, {**found, "fallbacks": sorted(_fallbacks(torch))})


def formats(out: Path) -> None:
    """Whether the adapter takes private formats for granted on this chip.

    Published adapters do unless their own option is "disable", which setting up the device writes there for
    the chips, and in the versions, that can do without.
    """
    torch: Any = importlib.import_module("torch")
    torch_npu: Any = importlib.import_module("torch_npu")
    torch.ones(1).npu()
    option = getattr(getattr(torch_npu, "_C", None), "_npu_getOption", None)
    said = None if option is None else option("ALLOW_INTERNAL_FORMAT")
    _write(out, {"private": said is not None and said != b"disable"})


def _fallbacks(torch: Any) -> list[str]:
    """The operators that the adapter left to the CPU so far; none where the adapter does not count them."""
    counts = getattr(torch.ops.torch_npu, "fallback_counts", None)
    return [] if counts is None else list(json.loads(counts()))


def _version(package: str) -> str:
    try:
        from importlib.metadata import version
    except ImportError:  # Python 3.7, whose environments have setuptools
        distribution = importlib.import_module("pkg_resources").get_distribution(package)
        return str(distribution.version)
    return version(package)


def _versions() -> dict[str, str]:
    found = {name: _version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def _write(out: Path, found: dict[str, Any]) -> None:
    out.write_text(json.dumps(found), encoding="utf-8")


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    if sys.argv[1] == "absent":
        absent(Path(sys.argv[2]))
    elif sys.argv[1] == "formats":
        formats(Path(sys.argv[2]))
    else:
        example(Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
