"""Upload a sealed release: to a package index, to the release page of a forge, to object storage.

Whatever the target, the way is the same (`driver`): ask what is there, refuse what would change a published
file, send what is missing, read it back, and only then make it public. A run that was cut is run again.
"""

from __future__ import annotations

from wheelmill.publish.upload.driver import Report, upload
from wheelmill.publish.upload.errors import UploadError
from wheelmill.publish.upload.folder import Asset, ReleaseFolder, read
from wheelmill.publish.upload.targets import TARGETS, Options, target_for

__all__ = [
    "TARGETS",
    "Asset",
    "Options",
    "ReleaseFolder",
    "Report",
    "UploadError",
    "read",
    "target_for",
    "upload",
]
