"""Installs a built cell as a user would, from the local index, and runs it on the simulated NPU."""

from __future__ import annotations

from wheelmill.prove.smoke.result import SmokeError, SmokeResult
from wheelmill.prove.smoke.run import EXAMPLE, Limits, cannot_run, smoke

__all__ = ["EXAMPLE", "Limits", "SmokeError", "SmokeResult", "cannot_run", "smoke"]
