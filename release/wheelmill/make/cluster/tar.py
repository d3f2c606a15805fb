"""Files that machines of a cluster send each other, as a tar."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path, PurePosixPath

from wheelmill.make.cluster import ClusterError


def pack(tree: Path, files: list[Path]) -> bytes:
    """These files of a tree; links as what they lead to."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for path in files:
            archive.add(tree / path, arcname=path.as_posix())
    return packed.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of a tar below `folder`, as this user's.

    Raises ClusterError for a link, a device, or a file outside of the folder. It is no
    `extractall(filter="data")`: Debian 12's Python 3.11.2 is older than that.
    """
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            stream = archive.extractfile(member) if member.isreg() else None
            if name.is_absolute() or ".." in name.parts or not (stream or member.isdir()):
                raise ClusterError(f"another machine sent {member.name!r}, which is no file below the folder")
            target = folder / name
            (target.parent if stream else target).mkdir(parents=True, exist_ok=True)
            if stream is not None:
                target.write_bytes(stream.read())
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
                os.utime(target, (member.mtime, member.mtime))
