"""The real adapter's wheel, released: bytes sampled all over it, and `verify --rebuild`. Minutes; on demand.

WHEELMILL_HOME=.wheelmill python -m pytest tests/sign/test_real_wheel.py -m on_demand
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.publish.sign import VerifyError, WheelFacts, attest, verify_release
from wheelmill.publish.sign.keys import write_keyring

from tests.sign import small
from tests.sign.small import NOW, Ring

PROJECT = Path(__file__).parents[2]
SAMPLES = 400

pytestmark = [pytest.mark.on_demand, pytest.mark.slow, pytest.mark.timeout(7200)]


def wheelmill(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "release")}
    command = [sys.executable, "-m", "wheelmill", *words]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    ring = small.one_key(tmp_path_factory.mktemp("keys") / "keys.yaml")
    write_keyring(ring.keyring)
    return ring


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, ring: Ring) -> Path:
    """This machine's own cell, built or taken from the store, with the simulator's wheel."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}-{os.uname().machine}"
    done = wheelmill("build", running, "--no-smoke", "--json")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    folder = tmp_path_factory.mktemp("real") / "release"
    folder.mkdir()
    known = {}
    for path, name in ((cell["wheel"], cell["cell"]), (cell["simulator"], None)):
        shutil.copy(path, folder)
        known[Path(path).name] = WheelFacts(name, {"local_only": True}, not_run="a test")
    attest(folder, small.facts_of(known, small.line()), ring.signers(), NOW)
    return folder


def test_bytes_sampled_all_over_real_wheels_count(release: Path, ring: Ring) -> None:
    chosen = random.Random(11)
    keyring = ring.keyring
    verify_release(release, keyring, NOW)
    for path in sorted(release.iterdir()):
        size = path.stat().st_size
        ends = [0, 1, size - 2, size - 1]
        many = SAMPLES if path.suffix == ".whl" else SAMPLES // 10
        for place in [*ends, *(chosen.randrange(size) for _ in range(many))]:
            mask = 1 << chosen.randrange(8)
            small.flip(path, place, mask)
            with pytest.raises(VerifyError):
                verify_release(release, keyring, NOW)
            small.flip(path, place, mask)
    verify_release(release, keyring, NOW)


def test_a_real_release_is_rebuilt_without_trusting_its_signer(release: Path, ring: Ring) -> None:
    done = wheelmill("verify", str(release), "--keyring", str(ring.path), "--on", "2026-11-28", "--rebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the same bytes (") == 2
