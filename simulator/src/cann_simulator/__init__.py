"""CANN's C ABI on a CPU: run NPU programs on a machine without an NPU.

The libraries in ``lib/`` are found exactly as CANN's are, through the environment of the program, and never
chosen silently: a shell sources ``set_env.sh``, or ``cann-simulator run -- command`` sets it for one program.
"""

from __future__ import annotations

from cann_simulator.environment import HOME, LIBRARIES, ConflictError, SimulatorError, variables

__all__ = ["HOME", "LIBRARIES", "ConflictError", "SimulatorError", "variables"]
