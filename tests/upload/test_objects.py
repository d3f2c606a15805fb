"""Object storage: S3 as moto's server speaks it, and a disk, through fsspec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from wheelmill.publish.upload import Options, Report, UploadError, read, target_for, upload
from wheelmill.publish.upload.errors import PassingError
from wheelmill.publish.upload.objects import Objects

from tests.cli.test_command_line import wheelmill
from tests.upload import folders
from tests.upload.folders import BRANCH, VERSION, contents


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"b{abs(hash(request.node.name))}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make(tmp_path_factory.mktemp("release") / "release")


def stored(bucket: str) -> dict[str, bytes]:
    """Everything in the bucket by key."""
    s3 = boto3.client("s3")
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def bring(url: str, folder: Path, waits: list[float] | None = None) -> Report:
    return upload(read(folder), target_for(url, Options()), wait=([] if waits is None else waits).append)


def test_a_release_lies_under_branch_and_version(bucket: str, folder: Path) -> None:
    report = bring(f"s3://{bucket}/releases", folder)
    place = f"releases/{BRANCH}/{VERSION}"
    assert stored(bucket) == {f"{place}/{name}": data for name, data in contents(folder).items()}
    assert report.sent[-1] == "release.json"
    assert report.url == f"s3://{bucket}/{place}"
    assert bring(f"s3://{bucket}/releases/", folder).sent == ()


def test_other_bytes_under_a_taken_name_are_refused(bucket: str, folder: Path, tmp_path: Path) -> None:
    """Also before the release is complete, and also shorter ones: an object is never half."""
    name = next(iter(contents(folder)))
    key = f"{BRANCH}/{VERSION}/{name}"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"short")
    with pytest.raises(UploadError, match="other bytes under the same names"):
        bring(f"s3://{bucket}", folder)
    assert stored(bucket) == {key: b"short"}


def test_an_upload_that_was_cut_goes_on(bucket: str, folder: Path) -> None:
    class Cut(Objects):
        sent = 0

        def send(self, asset: object) -> None:
            if self.sent == 3:
                raise KeyboardInterrupt
            self.sent += 1
            super().send(asset)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        upload(read(folder), Cut(f"s3://{bucket}", {}))
    assert len(stored(bucket)) == 3
    assert not [key for key in stored(bucket) if key.endswith("release.json")]
    report = bring(f"s3://{bucket}", folder)
    assert (len(report.kept), len(report.sent)) == (3, len(contents(folder)) - 3)


def test_two_uploads_at_once_do_not_overwrite_each_other(bucket: str, folder: Path, tmp_path: Path) -> None:
    """The other one puts its file after we looked and before we send: the storage refuses, and we compare."""
    other = folders.make(tmp_path / "other", b"y" * 5000)

    class Late(Objects):
        def send(self, asset: object) -> None:
            path = other / asset.name  # type: ignore[attr-defined]
            boto3.client("s3").put_object(
                Bucket=bucket, Key=f"{BRANCH}/{VERSION}/{path.name}", Body=path.read_bytes()
            )
            super().send(asset)  # type: ignore[arg-type]

    with pytest.raises(UploadError, match="is not what was sent"):
        upload(read(folder), Late(f"s3://{bucket}", {}), wait=[].append)
    wheels = {key: data for key, data in stored(bucket).items() if key.endswith(".whl")}
    assert wheels == {f"{BRANCH}/{VERSION}/{n}": d for n, d in contents(other).items() if n.endswith(".whl")}


def test_a_bucket_that_is_not_there_is_one_clear_error(bucket: str, folder: Path) -> None:
    done = wheelmill("upload", str(folder), "--to", f"s3://{bucket}-no")
    assert done.returncode == 1
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr


def test_a_storage_that_is_down_is_asked_again_and_then_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    waits: list[float] = []

    class Down(Objects):
        def open(self, release: object) -> bool:
            raise PassingError("s3://b: 503 Slow Down")

    with pytest.raises(UploadError, match="after 6 attempts"):
        upload(read(folder), Down("s3://b", {}), wait=waits.append)
    assert len(waits) == 5


def test_the_command_uploads_and_reports(bucket: str, folder: Path) -> None:
    done = wheelmill("upload", str(folder), "--to", f"s3://{bucket}", "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["sent"]) == sorted(contents(folder))
    assert len(stored(bucket)) == len(contents(folder))


def test_half_a_file_on_a_disk_is_replaced_until_the_release_is_complete(
    tmp_path: Path, folder: Path
) -> None:
    place = tmp_path / "disk" / BRANCH / VERSION
    place.mkdir(parents=True)
    wheel = next(name for name in contents(folder) if name.endswith(".whl"))
    (place / wheel).write_bytes((folder / wheel).read_bytes()[:100])
    bring(f"file://{tmp_path}/disk", folder)
    assert contents(place) == contents(folder)
    (place / wheel).write_bytes(b"half")
    with pytest.raises(UploadError, match="other bytes"):
        bring(f"file://{tmp_path}/disk", folder)


def test_a_protocol_that_nobody_knows_is_one_clear_error(folder: Path) -> None:
    done = wheelmill("upload", str(folder), "--to", "nosuch://x")
    assert done.returncode == 1
    assert "s3://BUCKET/PREFIX" in done.stderr
