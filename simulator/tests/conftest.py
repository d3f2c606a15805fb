"""These tests need the built libraries: --libraries DIR or CANN_SIMULATOR_LIBRARIES."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "cann_simulator"

# They ask for what is lacking, to see it refused; the test of what follows from that sets it otherwise.
os.environ.setdefault("CANN_SIMULATOR_REFUSALS", "ignore")


def pytest_addoption(parser):
    parser.addoption(
        "--libraries",
        default=os.environ.get("CANN_SIMULATOR_LIBRARIES"),
        help="directory with libascendcl.so and libopapi.so (default: $CANN_SIMULATOR_LIBRARIES)",
    )


@pytest.fixture(scope="session")
def libraries(pytestconfig) -> Path:
    directory = pytestconfig.getoption("--libraries")
    if directory is None or not (Path(directory) / "libopapi.so").exists():
        raise pytest.UsageError(
            f"no simulator libraries in {directory!r}; build them "
            "(cmake -S simulator -B B -DTORCH_SDK=...) and pass --libraries B/lib"
        )
    return Path(directory).resolve()


@pytest.fixture(scope="session")
def home(libraries, tmp_path_factory) -> Path:
    """The package as an installed wheel lays it out, in a directory with a blank in its name."""
    home = tmp_path_factory.mktemp("site packages") / "cann_simulator"
    shutil.copytree(PACKAGE, home, ignore=shutil.ignore_patterns("__pycache__", "lib"))
    (home / "lib").symlink_to(libraries)
    return home


@pytest.fixture(scope="session")
def simulator(libraries):
    from acl import Simulator  # needs torch, which the package's own tests do not

    with Simulator(libraries) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _no_failure_left_behind(request):
    """A test that leaves a failure on a stream, or a queued task, would break the next one."""
    yield
    if "simulator" in request.fixturenames:
        simulator = request.getfixturevalue("simulator")
        simulator.check("aclrtSetDevice", 0)
        simulator.check("aclrtSynchronizeDevice")
