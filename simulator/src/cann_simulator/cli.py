"""The command line: env, run and info."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence

from cann_simulator import environment, info, options

DESCRIPTION = "CANN's C ABI on a CPU: run NPU programs on a machine without an NPU."
EPILOG = """examples:
  cann-simulator run -- python train.py
  cann-simulator run --devices 8 --soc 910A --cann 7.0.RC1 -- python train.py
  cann-simulator run --check -- python train.py           races between streams
  cann-simulator run --refusals ignore -- pytest          tests that expect something to be missing
  cann-simulator run --fault oom@20 -- pytest             the 20th allocation of device memory fails
  cann-simulator run --fault device@100 -- python train.py
  eval "$(cann-simulator env)"        every program of this shell, until it ends
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cann-simulator",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    env = commands.add_parser(
        "env",
        help="print the shell lines that set_env.sh would run",
        description="Print export lines for a POSIX shell. Refused when another CANN was sourced already.",
    )
    options.add_to(env)
    run = commands.add_parser(
        "run",
        help="run a program on the simulator",
        usage="cann-simulator run [options] -- command [argument ...]",
        description="Run a program with the environment that set_env.sh would set, for this program only.",
    )
    options.add_to(run)
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="-- command [argument ...]")
    show = commands.add_parser(
        "info", help="show what is simulated, for which torch, and whether it is active here"
    )
    show.add_argument("--json", action="store_true", help="for programs, with the list of operators")
    return parser


def _require_matching_torch() -> None:
    """Before anything loads: operators that were built for another torch would not even link."""
    problem = info.torch_mismatch()
    if problem is not None:
        raise environment.SimulatorError(problem)


def _print_env(parsed: argparse.Namespace) -> int:
    _require_matching_torch()
    for name, value in {**environment.variables(os.environ), **options.chosen(parsed)}.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _run(parsed: argparse.Namespace) -> int:
    program: list[str] = parsed.program[1:] if parsed.program[:1] == ["--"] else parsed.program
    if not program:
        raise environment.SimulatorError("no command was given; write: cann-simulator run -- python train.py")
    variables = {**os.environ, **environment.variables(os.environ), **options.chosen(parsed)}
    _require_matching_torch()
    sys.stdout.flush()
    try:
        os.execvpe(program[0], program, variables)
    except OSError as error:
        print(f"cann-simulator: cannot run {program[0]!r}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126


def _show_info(as_json: bool) -> int:
    facts = info.collect(os.environ)
    print(json.dumps(facts, indent=2) if as_json else info.text(facts), flush=True)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0; 1 refused; 2 wrong usage; 126 or 127 as a shell's; otherwise the program's own, but
    66 or 67 for 0 where it had races (--check) or passed over a refusal (--refusals)."""
    parsed = _parser().parse_args(arguments)
    try:
        if parsed.command == "env":
            return _print_env(parsed)
        if parsed.command == "run":
            return _run(parsed)
        return _show_info(parsed.json)
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except environment.SimulatorError as error:
        print(f"cann-simulator: error: {error}", file=sys.stderr)
        return 1
