"""What several test files share: fresh processes in a chosen environment, and a copy of the package."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch_npu

#: (2, 13) of 2.13.0. Skips ask this, not whether something is there: what a build or a torch has lost fails.
TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])

#: For pin_memory and is_pinned: before 2.6 the device must be named, later naming it is deprecated.
PIN = {} if hasattr(torch, "accelerator") else {"device": "npu"}

needs_autoload = pytest.mark.skipif(
    not hasattr(torch, "_import_device_backends"), reason="torch loads no backend by itself before 2.5"
)

needs_autocast = pytest.mark.skipif(
    TORCH < (2, 1), reason="torch autocasts on its own devices only before 2.1"
)

#: Variables by which CANN, or the simulator in its place, is found.
CANN_VARIABLES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_OPP_PATH", "ASCEND_AICPU_PATH")


def environment(**changes):
    """This process's environment with `changes`; None removes a variable."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def environment_without_cann(**changes):
    """The environment of a shell in which neither CANN nor the simulator was sourced."""
    search_path = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    kept = [folder for folder in search_path if folder and not Path(folder, "libascendcl.so").exists()]
    return environment(
        **dict.fromkeys(CANN_VARIABLES), **{"LD_LIBRARY_PATH": ":".join(kept) or None, **changes}
    )


def run(code, *, env=None, timeout=120, arguments=("-c",)):
    """Run Python code in a fresh process; the completed process with text output, whatever its exit code."""
    return subprocess.run(
        [sys.executable, *arguments, code],
        env=env,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )


def output(code, **options):
    """Standard output of code that must succeed."""
    done = run(code, **options)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def stamped_copy(folder, row=None, rows=None):
    """An installed package of its own under `folder`, with the given row and table; the PYTHONPATH for it.

    It has the entry point through which torch loads it by itself, however the package under test came here.
    """
    original = Path(torch_npu.__file__).parent
    package = folder / "torch_npu"
    shutil.copytree(
        original, package, ignore=shutil.ignore_patterns("lib", "__pycache__", "_row.json", "_rows.json")
    )
    (package / "lib").symlink_to(original / "lib")
    for name, value in (("_row.json", row), ("_rows.json", rows)):
        if value is not None:
            (package / name).write_text(json.dumps(value))
    metadata = folder / "torch_npu-9.9.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torch_npu\nVersion: 9.9.9\n")
    (metadata / "entry_points.txt").write_text("[torch.backends]\ntorch_npu = torch_npu:_autoload\n")
    inherited = os.environ.get("PYTHONPATH")
    return f"{folder}:{inherited}" if inherited else str(folder)
