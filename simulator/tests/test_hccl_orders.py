"""Communicators are set up, or fail for all ranks at once, in every order in which ranks can come.

A few random orders each; CANN_SIMULATOR_ORDERS=1000 takes as many.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hccl_orders import SCENARIOS

PROGRAM = Path(__file__).with_name("hccl_orders.py")
TIMES = int(os.environ.get("CANN_SIMULATOR_ORDERS", "3"))


@pytest.mark.timeout(60 + 20 * TIMES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_in_every_order_all_ranks_connect_or_are_told(libraries, scenario):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HCCL_", "CANN_"))}
    done = subprocess.run(
        [sys.executable, PROGRAM, "--libraries", libraries, "--times", str(TIMES), scenario],
        env={**kept, "LD_LIBRARY_PATH": str(libraries)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{scenario}: 0 of {TIMES} wrong" in done.stdout
