"""What `wheelmill release` seals is what `wheelmill upload` takes, and what people get can be verified."""

from __future__ import annotations

from pathlib import Path

from wheelmill.publish.sign.release import verify_release
from wheelmill.publish.upload import Options, read, target_for, upload

from tests.release.conftest import BRANCH, make_rig
from tests.upload.folders import contents


def test_a_sealed_release_is_uploaded_whole_with_its_notes(tmp_path: Path) -> None:
    rig = make_rig(tmp_path / "project")
    session = rig.release()
    folder = rig.home / "releases" / BRANCH / session.version
    release = read(folder)
    assert (release.branch, release.version, release.tag) == (BRANCH, session.version, session.name)
    assert len(release.wheels) == 4
    assert release.assets[-1].name == "release.json"
    assert "### 新增特性" in release.notes()
    assert "### New features" in release.notes()
    report = upload(release, target_for(f"file://{tmp_path}/storage", Options()))
    there = tmp_path / "storage" / BRANCH / session.version
    assert contents(there) == contents(folder)
    assert rig.ring is not None
    assert verify_release(there, rig.ring.keyring, rig.now).signers == ("alice",)
    assert len(report.sent) == len(release.assets)
