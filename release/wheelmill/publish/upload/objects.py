"""Object storage and what else fsspec reaches: `s3://BUCKET/PREFIX`, with files under BRANCH/VERSION."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wheelmill.publish.release.folder import MANIFEST
from wheelmill.publish.upload.driver import Remote
from wheelmill.publish.upload.errors import PassingError, UploadError
from wheelmill.publish.upload.folder import Asset, ReleaseFolder

_CHUNK = 1 << 20


class Objects:
    """A folder of a storage. A release is public there once it has `release.json`, which comes last."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._root = url.rstrip("/")
        self._options = dict(options)
        self._folder = ""
        self._fs: Any = None

    @property
    def url(self) -> str:
        """The folder of the release."""
        return f"{self._root}/{self._folder}"

    def wants(self, asset: Asset) -> bool:
        """Every file of the release."""
        return True

    def open(self, release: ReleaseFolder) -> bool:
        """Reach the storage."""
        import fsspec  # only this target pays for the import

        self._folder = f"{release.branch}/{release.version}"
        with _clear_errors(self._root):
            self._fs, self._path = fsspec.url_to_fs(self.url, **self._options)
            self._fs.invalidate_cache()
            return bool(self._fs.exists(f"{self._path}/{MANIFEST}"))

    def there(self) -> Mapping[str, Remote]:
        """What lies in the folder. An object is whole; a file of a disk may be cut, so its size counts."""
        with _clear_errors(self.url):
            self._fs.invalidate_cache()
            try:
                rows = self._fs.ls(self._path, detail=True)
            except FileNotFoundError:
                return {}
        found = {}
        for row in rows:
            name = str(row["name"]).rpartition("/")[2]
            if name and row["type"] == "file":
                found[name] = Remote(name, row["size"] if "file" in self._protocols() else None, None)
        return found

    def digest(self, remote: Remote) -> str:
        """Of the bytes themselves."""
        digest = hashlib.sha256()
        with _clear_errors(self.url), self._fs.open(f"{self._path}/{remote.name}", "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def send(self, asset: Asset) -> None:
        """Send one file; an object appears whole or not at all, and S3 is told to take no name twice."""
        target = f"{self._path}/{asset.name}"
        with _clear_errors(self.url):
            if "file" in self._protocols():
                self._fs.makedirs(self._path, exist_ok=True)
            self._fs.put_file(
                str(asset.path), target, **({"mode": "create"} if "s3" in self._protocols() else {})
            )

    def remove(self, remote: Remote) -> None:
        """Remove a file that was cut, in a storage that is not one of objects."""
        with _clear_errors(self.url):
            self._fs.rm_file(f"{self._path}/{remote.name}")

    def close(self, release: ReleaseFolder) -> None:
        """Nothing: `release.json` was sent last."""

    def _protocols(self) -> tuple[str, ...]:
        protocol = self._fs.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)


@contextmanager
def _clear_errors(url: str) -> Iterator[None]:
    """What fsspec raises as ours: what passes is tried again, the rest is final."""
    try:
        yield
    except (PassingError, UploadError):
        raise
    except FileExistsError:
        # Somebody was there first, or the answer to an earlier attempt was lost: what is there is compared.
        raise PassingError(f"{url}: a file came to be there meanwhile") from None
    except (PermissionError, FileNotFoundError) as error:
        raise UploadError(f"{url}: {error}", hint="Do bucket and credentials fit? " + _WHERE) from None
    except ModuleNotFoundError:
        raise
    except (ImportError, ValueError) as error:
        raise UploadError(
            f"{url} cannot be reached: {error}", hint="Write a URL such as s3://BUCKET/PREFIX."
        ) from None
    except OSError as error:
        raise PassingError(f"{url}: {error}") from None
    except Exception as error:
        if type(error).__module__.startswith(("botocore", "aiohttp", "aiobotocore")):
            if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
                raise UploadError(f"{url}: {error}", hint=_WHERE) from None
            raise PassingError(f"{url}: {error}") from None
        raise


_WHERE = "S3 reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL from the environment."
