"""What the pages say, read back by a client library: HTML and JSON agree with the records and each other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, ProjectPage
from wheelmill.publish.index import WheelRecord
from wheelmill.publish.index.pages import file_path, pages
from wheelmill.publish.index.records import checked

BASE = "http://index.test/simple/demo/"

reasons = st.none() | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
specifiers = st.sampled_from([None, ">=3.8", ">=3.8,<4", "!=3.9.*,>3.7", "~=3.10"])
versions = st.from_regex(
    r"(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)(rc[1-9]|\.post[1-9])?(\+cpu\.[1-9])?", fullmatch=True
)
platforms = st.sampled_from(["any", "linux_aarch64", "manylinux_2_17_x86_64.manylinux2014_x86_64"])
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))


@st.composite
def records(draw: st.DrawFn) -> WheelRecord:
    version, platform, python = draw(versions), draw(platforms), draw(specifiers)
    metadata = f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\n"
    metadata += f"Requires-Python: {python}\n" if python else ""
    return WheelRecord(
        filename=f"demo-{version}-py3-none-{platform}.whl",
        sha256=hashlib.sha256(draw(st.binary(max_size=8))).hexdigest(),
        size=Path(__file__).stat().st_size,
        requires_python=python,
        metadata=metadata.encode(),
        upload_time=draw(moments),
        yanked=draw(reasons),
        path=Path(__file__),
    )


record_sets = st.lists(records(), min_size=1, max_size=6, unique_by=lambda record: record.filename)


def read_html(made: dict[str, bytes]) -> list[DistributionPackage]:
    return ProjectPage.from_html("demo", made["simple/demo/index.html"].decode(), base_url=BASE).packages


def read_json(made: dict[str, bytes]) -> list[DistributionPackage]:
    document = json.loads(made["simple/demo/index.v1+json"])
    return ProjectPage.from_json_data(document, base_url=BASE).packages


def record_from(package: DistributionPackage, made: dict[str, bytes]) -> WheelRecord:
    """What a client knows of a wheel, as a record."""
    path = package.url.partition("#")[0].removeprefix("http://index.test/").replace("%2B", "+")
    assert package.upload_time is not None
    assert package.size is not None
    return WheelRecord(
        filename=package.filename,
        sha256=package.digests["sha256"],
        size=package.size,
        requires_python=package.requires_python,
        metadata=made[f"{path}.metadata"],
        upload_time=package.upload_time,
        yanked=None if not package.is_yanked else package.yanked_reason or "",
    )


@given(record_sets)
def test_json_gives_the_records_back(given_records: list[WheelRecord]) -> None:
    expected = checked(given_records)
    made = pages(expected)
    assert tuple(record_from(package, made) for package in read_json(made)) == expected


@given(record_sets)
def test_html_and_json_agree(given_records: list[WheelRecord]) -> None:
    made = pages(checked(given_records))

    def common(package: DistributionPackage) -> tuple[object, ...]:
        url = package.url.partition("#")[0]
        yanked = (package.is_yanked, package.yanked_reason or None)
        return (
            package.filename,
            url,
            package.digests,
            package.requires_python,
            yanked,
            package.metadata_digests,
        )

    assert list(map(common, read_html(made))) == list(map(common, read_json(made)))


@given(record_sets)
def test_metadata_hashes_are_those_of_the_side_files(given_records: list[WheelRecord]) -> None:
    expected = checked(given_records)
    made = pages(expected)
    for package, record in zip(read_json(made), expected, strict=True):
        side = made[f"{file_path(record)}.metadata"]
        assert package.metadata_digests == {"sha256": hashlib.sha256(side).hexdigest()}


class Anchors(HTMLParser):
    """The attributes of every link, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


@pytest.fixture
def nasty() -> WheelRecord:
    """A record whose every text needs escaping somewhere."""
    python = ">=3.8,<4"
    return WheelRecord(
        filename="demo-1.0+cpu.1-py3-none-any.whl",
        sha256="0" * 64,
        size=Path(__file__).stat().st_size,
        requires_python=python,
        metadata=f"Name: demo\nVersion: 1.0+cpu.1\nRequires-Python: {python}\n".encode(),
        upload_time=datetime(2024, 1, 1, tzinfo=timezone.utc),
        yanked='"><script>alert(1)</script>&amp;',
        path=Path(__file__),
    )


def test_texts_cannot_break_out_of_the_html(nasty: WheelRecord) -> None:
    page = pages(checked([nasty]))["simple/demo/index.html"].decode()
    assert "<script>" not in page
    assert 'data-requires-python="&gt;=3.8,&lt;4"' in page
    anchors = Anchors()
    anchors.feed(page)
    assert anchors.found[0]["data-yanked"] == nasty.yanked
    assert "1.0%2Bcpu.1" in str(anchors.found[0]["href"])


def test_the_pages_carry_both_names_of_the_metadata_field(nasty: WheelRecord) -> None:
    made = pages(checked([nasty]))
    anchors = Anchors()
    anchors.feed(made["simple/demo/index.html"].decode())
    assert anchors.found[0]["data-core-metadata"] == anchors.found[0]["data-dist-info-metadata"]
    (file,) = json.loads(made["simple/demo/index.v1+json"])["files"]
    assert file["core-metadata"] == {"sha256": nasty.metadata_sha256}
    assert "dist-info-metadata" not in file  # pip 22.3 to 23.0 end in a traceback on it


def test_pages_state_the_version_of_the_interface(nasty: WheelRecord) -> None:
    made = pages(checked([nasty]))
    assert '<meta name="pypi:repository-version" content="1.1">' in made["simple/demo/index.html"].decode()
    assert json.loads(made["simple/index.v1+json"])["meta"] == {"api-version": "1.1"}


def test_projects_are_listed_by_their_normalized_name(nasty: WheelRecord) -> None:
    metadata = nasty.metadata.replace(b"Name: demo", b"Name: Torch_NPU")
    record = dataclasses.replace(nasty, filename="torch_npu-1.0+cpu.1-py3-none-any.whl", metadata=metadata)
    made = pages(checked([record, nasty]))
    assert json.loads(made["simple/index.v1+json"])["projects"] == [{"name": "demo"}, {"name": "torch-npu"}]
    assert "simple/torch-npu/index.html" in made


def test_versions_are_listed_oldest_first(nasty: WheelRecord) -> None:
    def of(version: str) -> WheelRecord:
        metadata = nasty.metadata.replace(b"1.0+cpu.1", version.encode())
        return dataclasses.replace(nasty, filename=f"demo-{version}-py3-none-any.whl", metadata=metadata)

    made = pages(checked([of("1.10"), of("1.9"), of("1.10rc1")]))
    assert json.loads(made["simple/demo/index.v1+json"])["versions"] == ["1.9", "1.10rc1", "1.10"]
