"""`verify --rebuild`: a signature is believed for who signed, a rebuild for what is in the wheel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from wheelmill.publish.index import WheelRecord, build_index
from wheelmill.publish.sign import WheelFacts, attest, sign_root
from wheelmill.publish.sign.keys import write_keyring
from wheelmill.wheel import wheelfile

from tests.make.conftest import LINE, Checkout
from tests.sign import small
from tests.sign.small import NOW


def test_a_signed_wheel_is_built_again_and_another_one_is_told(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run("build", f"{LINE}/3.8/x86_64", "--no-smoke", "--json")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    ring = small.one_key(tmp_path / "keys.yaml")
    write_keyring(ring.keyring)
    words = ("--keyring", str(ring.path), "--on", "2026-11-28", "--rebuild")
    honest, dishonest = tmp_path / "honest", tmp_path / "dishonest"
    for folder in (honest, dishonest):
        folder.mkdir()
        shutil.copy(cell["wheel"], folder)
    wheel = Path(cell["wheel"]).name
    _swap(dishonest / wheel)  # what a signer might do who is not to be trusted
    for folder in (honest, dishonest):
        known = {wheel: WheelFacts(cell["cell"], small.RELEASABLE, not_run="a test")}
        attest(folder, small.facts_of(known, small.line()), ring.signers(), NOW)
    done = checkout.run("verify", str(honest), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{wheel}: the same bytes (" in done.stdout
    index = tmp_path / "index"
    seal = sign_root(ring.signers(), NOW, NOW + small.DAY)
    build_index([WheelRecord.from_wheel(honest / wheel, NOW)], index, seal=seal)
    done = checkout.run("verify", str(index), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{wheel}: the same bytes (" in done.stdout
    done = checkout.run("verify", str(dishonest), *words, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["verified"], told["rebuilt"][0]["same"]) == (True, False)
    assert "torch_npu/__init__.py" in [entry["name"] for entry in told["rebuilt"][0]["differences"]]


def _swap(wheel: Path) -> None:
    """Other Python files under the same recipe, in a wheel that is otherwise in order."""
    import zipfile

    kept = wheel.rename(wheel.with_suffix(".kept"))
    with zipfile.ZipFile(kept) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    parts = wheel.name.removesuffix(".whl").split("-")
    info = f"{parts[0]}-{parts[1]}.dist-info"
    drop = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    files = {name: data for name, data in members.items() if name not in {f"{info}/{d}" for d in drop}}
    files["torch_npu/__init__.py"] += b"import os  # a door\n"
    content = wheelfile.WheelContent(
        name=parts[0],
        version=parts[1],
        tag="-".join(parts[2:]),
        metadata=members[f"{info}/METADATA"].decode(),
        license=members[f"{info}/licenses/LICENSE"],
        epoch=1_700_000_000,
        files=files,
        entry_points=members[f"{info}/entry_points.txt"].decode(),
    )
    wheelfile.write(content, wheel.parent)
    kept.unlink()
