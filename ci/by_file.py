"""pytest plugin of both test suites: with pytest-xdist, tests of one file run in one process.

So do those of files that share what is dear, or that look at what others could leave.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

# A pattern that finds the test's name -> why its tests run in one process.
TOGETHER = {
    r"\btests/docker/": "one builder image",
    r"\btests/site/": "one site",
    r"\btest_(ddp|hccl\w*|package|protocol|pytest_plugin|sharing)\.py::": "what is left in shared memory",
}


def group(name: str) -> str:
    """The name of what runs in one process with this test: its file, or a pattern above."""
    return next((pattern for pattern in TOGETHER if re.search(pattern, name)), name.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler that keeps groups together."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByFile(config, log)
