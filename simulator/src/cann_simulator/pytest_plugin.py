"""pytest on the simulator: `pytest --cann-simulator[=devices=8,soc=910B1]`, with faults and races on demand.

CANN's libraries are found through the environment of a process, so pytest is started again in the right one
before it imports a test. A refusal (what the simulator lacks) belongs to the test that met it: a test that
passed over one fails, and the summary says how many tests met what.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cann_simulator import control, environment, info, options

OPTION = "--cann-simulator"
PROPERTY = "cann_simulator.refused"
SETTINGS: dict[str, Callable[[str], str]] = {
    "devices": options.devices,
    "memory": options.memory,
    "soc": options.soc,
    "cann": options.cann,
    "fault": options.fault,
    "check": options.check,
    "refusals": options.refusals,
    "drain": options.drain,
}
MARKS = (
    "npu_fault(*faults): what goes wrong while the test runs, such as 'oom@1+'; see the fixture npu_fault",
    "npu_check: fail the test when streams race in it; see the fixture npu_check",
    "npu_devices(n): skip the test where fewer than n devices are simulated",
    "npu_refusals(mode): 'ignore' lets the test pass over what the simulator lacks",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    parser.getgroup("cann-simulator", "NPU tests without an NPU").addoption(
        OPTION,
        nargs="?",
        const="",
        metavar="SETTINGS",
        help="run on the CANN simulator; SETTINGS are those of `cann-simulator run`, with commas: "
        "devices=8,memory=4G,soc=910B1,cann=VERSION,fault=oom@3,check=report,refusals=ignore. "
        "refusals=ignore lets tests pass over what the simulator lacks.",
    )


def parse(text: str) -> dict[str, str]:
    """Settings by name, checked; `fault` may come more than once. Raises UsageError for what is none."""
    settings: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if name not in SETTINGS or not value:
            raise pytest.UsageError(
                f"{OPTION}: {item!r} is not a setting; known are {'=..., '.join(SETTINGS)}=..."
            )
        try:
            value = SETTINGS[name](value)
        except argparse.ArgumentTypeError as error:
            raise pytest.UsageError(f"{OPTION}: {name}: {error}") from None
        settings[name] = f"{settings[name]},{value}" if name == "fault" and name in settings else value
    return settings


# ------------------------------------------------------------------------------------------------ the start
# Around all others: pytest's capture is not on yet, and no conftest.py is imported.
@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Iterator[None]:
    """Start pytest again where it would not find the simulator."""
    given = early_config.known_args_namespace.cann_simulator
    if given is not None:
        _enter(early_config, given)
    yield


def _enter(config: pytest.Config, given: str) -> None:
    words = list(config.invocation_params.args)
    # argparse takes the word after a bare option for its value; a path has no `=` and no comma.
    eaten = f"{OPTION}={given}" not in words and given in words and given.partition("=")[0] not in SETTINGS
    chosen = variables(parse("" if eaten else given))
    if environment.active(os.environ) and not eaten:
        os.environ.update(chosen)  # read at the first call of CANN, which is still to come
        return
    if eaten:
        words[words.index(OPTION)] = f"{OPTION}="
    try:
        chosen.update(environment.variables(os.environ))
    except environment.SimulatorError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None
    problem = info.torch_mismatch()
    if problem is not None:
        raise pytest.UsageError(f"{OPTION}: {problem}")
    command = _command(list(config.invocation_params.args))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *command, *words], {**os.environ, **chosen})


def variables(settings: dict[str, str]) -> dict[str, str]:
    """The environment for these settings.

    The task queue of the published torch_npu is off unless it was asked for: with it, the first operator that
    fails takes all later ones with it, in other tests too.
    """
    chosen = {f"CANN_SIMULATOR_{name.upper()}": value for name, value in settings.items()}
    chosen.setdefault("TASK_QUEUE_ENABLE", os.environ.get("TASK_QUEUE_ENABLE", "0"))
    return chosen


def _command(words: list[str]) -> list[str]:
    """How this pytest was started, without the interpreter and pytest's own words."""
    line = Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
    started = [os.fsdecode(word) for word in line]
    if words and started[-len(words) :] != words:
        raise pytest.UsageError(
            f"{OPTION}: pytest was not started by a command line, so it cannot be started again; "
            "start the program itself with: cann-simulator run -- PROGRAM"
        )
    return started[1 : len(started) - len(words)]


# ------------------------------------------------------------------------------------------------- a session
def pytest_configure(config: pytest.Config) -> None:
    """The marks; and what needs the simulator, where it is used."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    if config.getoption("cann_simulator") is not None:
        settings = parse(config.getoption("cann_simulator"))
        config.pluginmanager.register(
            OnSimulator(settings.get("refusals") == "ignore"), "cann_simulator_session"
        )


def active(config: pytest.Config) -> bool:
    """Whether tests run on the simulator, by the option or by `cann-simulator run`."""
    return config.pluginmanager.has_plugin("cann_simulator_session") or environment.active(os.environ)


def _require(request: pytest.FixtureRequest, what: str) -> None:
    if not active(request.config):
        pytest.skip(f"{what} needs the simulator: pytest {OPTION}")


@pytest.fixture
def npu_fault(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """A function that says what goes wrong from its call on, until the test ends: `npu_fault("oom@1+")`.

    Faults as `cann-simulator run --fault` takes them: oom@N, oom@N+, device@N, hang@N, copy=SIZE. Counts
    begin at 1 with the call. At the test's end devices and streams that failed work again.
    """
    _require(request, "npu_fault")

    def set_faults(*faults: str) -> None:
        try:
            control.set_faults(options.fault(fault) for fault in faults)
        except (argparse.ArgumentTypeError, environment.SimulatorError) as error:
            raise pytest.UsageError(f"npu_fault: {error}") from None

    yield set_faults
    _back_to_environment()


def _back_to_environment() -> None:
    control.set_faults(filter(None, os.environ.get("CANN_SIMULATOR_FAULT", "").split(",")))


def _end_check() -> list[str]:
    """The races that were found; from here on they are looked for as the whole run asked."""
    races = control.take_races()
    control.set_check(os.environ.get("CANN_SIMULATOR_CHECK", ""))
    return races


class Races:
    """What npu_check found: `found()` gives the races since the last call, as text."""

    def found(self) -> list[str]:
        """The races so far, taken: they fail the test no more."""
        return control.take_races()


@pytest.fixture
def npu_check(request: pytest.FixtureRequest) -> Iterator[Races]:
    """Look for races between streams while the test runs; those that it did not take fail it."""
    _require(request, "npu_check")
    control.set_check("report")
    races = Races()
    yield races
    left = _end_check()
    if left:
        pytest.fail("\n".join(left), pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """The marks that decide whether a test runs."""
    needed = max((mark.args[0] for mark in item.iter_markers("npu_devices")), default=0)
    for name in ("npu_fault", "npu_check"):
        if item.get_closest_marker(name) and not active(item.config):
            pytest.skip(f"{name} needs the simulator: pytest {OPTION}")
    if needed and active(item.config):
        there = int(os.environ.get("CANN_SIMULATOR_DEVICES") or info.DEFAULTS["devices"])
        if there < needed:
            pytest.skip(f"needs {needed} devices, {there} are simulated: pytest {OPTION}=devices={needed}")
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Faults and checks of marks: around the test alone, not its fixtures."""
    faults = [fault for mark in item.iter_markers("npu_fault") for fault in mark.args]
    checked = item.get_closest_marker("npu_check") is not None
    if faults:
        control.set_faults(faults)
    if checked:
        control.set_check("report")
    outcome: Any = yield
    if faults:
        _back_to_environment()
    if checked:
        races = _end_check()
        if races and outcome.excinfo is None:
            outcome.force_exception(pytest.fail.Exception("\n".join(races), pytrace=False))


class OnSimulator:
    """Which test met which refusal."""

    def __init__(self, ignore: bool) -> None:
        self._ignore = ignore

    def pytest_report_header(self) -> str:
        """What is simulated."""
        facts = info.collect(os.environ)
        simulated = "{devices} x {soc}, {memory} each, CANN {cann}".format(**facts["simulates"])
        queue = os.environ.get("TASK_QUEUE_ENABLE", "0")
        return f"cann-simulator: {simulated}, torch {facts['torch']['installed']}, TASK_QUEUE_ENABLE={queue}"

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Give the refusals of this phase to its test; one that passed over them fails."""
        refusals = control.take_refusals()
        for refusal in refusals:
            item.user_properties.append((PROPERTY, f"{refusal.what}: {refusal.message}"))
        outcome: Any = yield
        report = outcome.get_result()
        mark = item.get_closest_marker("npu_refusals")
        ignored = self._ignore or (mark is not None and mark.args == ("ignore",))
        if refusals and report.passed and not ignored:
            report.outcome = "failed"
            report.longrepr = _passed_over(refusals)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """How many tests met what."""
        met: dict[str, tuple[str, set[str]]] = {}
        for reports in terminalreporter.stats.values():
            for report in reports:
                for name, value in getattr(report, "user_properties", ()):
                    if name == PROPERTY:
                        what, _, message = value.partition(": ")
                        met.setdefault(what, (message, set()))[1].add(report.nodeid)
        if not met:
            return
        terminalreporter.section("not simulated")
        for what, (message, tests) in sorted(met.items(), key=lambda one: (-len(one[1][1]), one[0])):
            count = f"{len(tests)} test" + ("s" if len(tests) > 1 else "")
            terminalreporter.write_line(f"{count} met {what}: {message}")


def _passed_over(refusals: list[control.Refusal]) -> str:
    told = "\n".join(f"  {one.what} ({one.count}): {one.message}" for one in refusals)
    return (
        "The test passed over what the simulator lacks, so what it computed may be wrong:\n"
        f"{told}\n"
        f"Where that is meant: @pytest.mark.npu_refusals('ignore'); for all tests: {OPTION}=refusals=ignore"
    )
