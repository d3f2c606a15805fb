"""pytest plugin of both test suites: with CI=true a test that cannot run is a failure, not a skip.

CI_WITHOUT names packages that a run is to do without: a test that says it needs one of them is left out, and
its name is added to the file CI_LEFT_OUT, for `pytest @FILE` where they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

_NEED = re.compile(r"needs (\S+), which is not here")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)


def _left_out(reason: str) -> bool:
    """Whether the skip is for a package that this run is to do without."""
    found = _NEED.search(reason)
    return found is not None and found[1] in os.environ.get("CI_WITHOUT", "").split()


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure that carries the skip's reason."""
    report = yield
    if not report.skipped or hasattr(report, "wasxfail") or not _in_ci():
        return report
    reason = _reason(report)
    if _left_out(reason):
        with Path(os.environ["CI_LEFT_OUT"]).open("a", encoding="utf-8") as names:
            names.write(f"{item.config.rootpath / item.nodeid}\n")
        return report
    report.outcome = "failed"
    report.longrepr = f"{item.nodeid} cannot run here, and in CI that is a failure: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that is skipped while it is read."""
    report = yield
    if report.skipped and _in_ci():
        reason = _reason(report)
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} cannot run here, and in CI that is a failure: {reason}"
    return report
