"""The options of `cann-simulator run` and `env` that say what to simulate; checked before a start."""

from __future__ import annotations

import argparse
import re

MOST_DEVICES = 64
MOST_SECONDS = 24 * 60 * 60
_MEMORY = re.compile(r"(\d{1,13})([KMGT]?)\Z", re.IGNORECASE)
_VERSION = re.compile(r"\d+\.\d+(\.[0-9A-Za-z.]+)?\Z")
_FAULT = re.compile(
    r"(oom@0*[1-9]\d{0,17}\+?|(device|hang)@0*[1-9]\d{0,17}|copy=0*[1-9]\d{0,11}[KMGTkmgt]?)\Z"
)
_SOC = re.compile(r"(Ascend)?(\d{3}[0-9A-Za-z_]*)\Z", re.IGNORECASE)


def devices(text: str) -> str:
    """A number of devices, 1 to 64."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_DEVICES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_DEVICES}")
    return text


def memory(text: str) -> str:
    """A size from 1M to 1T: bytes, or with K, M, G or T for powers of 1024."""
    match = _MEMORY.match(text)
    size = int(match.group(1)) << (10 * " KMGT".index(match.group(2).upper() or " ")) if match else 0
    if not 1 << 20 <= size <= 1 << 40:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size from 1M to 1T, such as 512M or 2G")
    return text.upper()


def soc(text: str) -> str:
    """A SoC name with or without 'Ascend' before it, as CANN writes it."""
    match = _SOC.match(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no SoC name, such as 910B1, 910A or 310P3")
    return "Ascend" + match.group(2).upper()


def cann(text: str) -> str:
    """A CANN version, such as 7.0.RC1 or 9.1.0."""
    if not _VERSION.match(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no CANN version, such as 7.0.RC1 or 9.1.0")
    return text


def fault(text: str) -> str:
    """One thing that goes wrong: oom@N, oom@N+, device@N, hang@N, or copy=SIZE for bytes a second."""
    if not _FAULT.match(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a fault; write oom@N, oom@N+, device@N or hang@N, N from 1 on, "
            "or copy=SIZE such as copy=100M"
        )
    return text


def check(text: str) -> str:
    """How races between streams are reported."""
    return _one_of(text, ("report", "error"))


def refusals(text: str) -> str:
    """What becomes of a program that passed over what the simulator lacks."""
    return _one_of(text, ("report", "ignore"))


def drain(text: str) -> str:
    """How many seconds the end of a program waits for what nobody will see, 0 to 86400."""
    if not text.isascii() or not text.isdigit() or int(text) > MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {MOST_SECONDS}")
    return text


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
    return text


def add_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "what to simulate (otherwise the CANN_SIMULATOR_* variables, then defaults)"
    )
    group.add_argument("--devices", type=devices, metavar="N", help="number of NPUs, 1 to 64 (2)")
    group.add_argument(
        "--memory", type=memory, metavar="SIZE", help="memory of each, such as 512M or 8G (2G)"
    )
    group.add_argument("--soc", type=soc, metavar="NAME", help="SoC: 910B1, 910A, 310P3, ... (910B1)")
    group.add_argument(
        "--cann", type=cann, metavar="VERSION", help="CANN version to play, such as 7.0.RC1 (9.1.0)"
    )
    group.add_argument(
        "--fault",
        type=fault,
        action="append",
        metavar="FAULT",
        help="what goes wrong, may be given more than once: oom@N (the Nth allocation of device memory "
        "fails), oom@N+ (and all after it), device@N (the Nth kernel fails with 507015 and its device with "
        "it, until it is reset), "
        "hang@N (the Nth kernel never ends), copy=SIZE (copies move SIZE bytes a second)",
    )
    group.add_argument(
        "--check",
        nargs="?",
        const="report",
        type=check,
        metavar="report|error",
        help="look for races between streams: report them (exit code 66 where it would be 0), or fail the "
        "launch that completes one with an error",
    )
    group.add_argument(
        "--refusals",
        type=refusals,
        metavar="report|ignore",
        help="what becomes of a program that passed over calls that failed, because the simulator lacks "
        "something or the adapter's task queue had stopped: a summary, and exit code 67 where it would be 0 "
        "(report), or its own exit code (ignore)",
    )
    group.add_argument(
        "--drain",
        type=drain,
        metavar="SECONDS",
        help="how long the end of a program waits for what is queued and nobody will see; copies to the host "
        "and what they need always run (5)",
    )


def chosen(options: argparse.Namespace) -> dict[str, str]:
    """The variables for the options that were given."""
    names = ("devices", "memory", "soc", "cann", "check", "refusals", "drain")
    values = {name: getattr(options, name) for name in names}
    values["fault"] = ",".join(options.fault) if options.fault else None
    return {"CANN_SIMULATOR_" + name.upper(): value for name, value in values.items() if value is not None}
