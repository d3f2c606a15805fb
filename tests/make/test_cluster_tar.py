"""What machines of a cluster send each other: files below a folder, and nothing else."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from wheelmill.make.cluster import ClusterError, tar


def test_files_come_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a Python whose tarfile knows no filters, as Debian 12's."""
    for name in ("data_filter", "fully_trusted_filter", "tar_filter"):
        monkeypatch.delattr(tarfile, name, raising=False)
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "run.sh").write_text("#!/bin/sh\n")
    (tree / "a" / "run.sh").chmod(0o700)
    (tree / "one.c").write_bytes(b"\0\1")
    (tree / "two.c").symlink_to("one.c")
    files = [Path("a/run.sh"), Path("one.c"), Path("two.c")]
    for path in files:
        os.utime(tree / path, (1_700_000_000, 1_700_000_000))
    tar.unpack(tar.pack(tree, files), tmp_path / "there")
    there = [tmp_path / "there" / path for path in files]
    assert [path.read_bytes() for path in there] == [b"#!/bin/sh\n", b"\0\1", b"\0\1"]
    assert [path.stat().st_mode & 0o777 for path in there] == [0o755, 0o644, 0o644]
    assert {path.stat().st_mtime for path in there} == {1_700_000_000}
    assert not there[2].is_symlink()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/outside", tarfile.REGTYPE),
        ("a/../../outside", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("link", tarfile.LNKTYPE),
        ("pipe", tarfile.FIFOTYPE),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry, io.BytesIO())
    with pytest.raises(ClusterError, match="no file below the folder"):
        tar.unpack(packed.getvalue(), tmp_path / "there")
    assert not (tmp_path / "outside").exists()
