"""What the pages say, read back by a client library: HTML and JSON agree with the records and each other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, ProjectPage
from wheelmill.publish.index import WheelRecord
from wheelmill.publish.index.layout import PLAIN, Layout, Status
from wheelmill.publish.index.pages import Writer, file_path, records_of, root_pages, simple_path
from wheelmill.publish.index.records import SideFile, checked, moment

from tests.index.conftest import MOMENT

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
        uploaded=moment(draw(moments)),
        yanked=draw(reasons),
        path=Path(__file__),
    )


record_sets = st.lists(records(), min_size=1, max_size=6, unique_by=lambda record: record.filename)


def pages(records: Sequence[WheelRecord], root: str = "", layout: Layout = PLAIN) -> dict[str, bytes]:
    """The files of the project `demo` under one root, and the metadata of its wheels."""
    folder = simple_path(root, "demo")
    made = Writer("demo").pages(root, layout.roots(records)[root], layout.status(root))
    files = {f"{folder}/{name}": data for name, data in made.items()}
    return files | {f"{file_path(r)}.metadata": r.metadata for r in records if r.metadata is not None}


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
        uploaded=moment(package.upload_time),
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
        uploaded=moment(datetime(2024, 1, 1, tzinfo=timezone.utc)),
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


def test_a_wheel_that_is_written_once_is_right_on_every_page(nasty: WheelRecord) -> None:
    writer, records = Writer("demo", "https://a.example/"), checked([nasty])
    for root in ("", "line/v1", "cann-9.0/910b"):
        made = writer.pages(root, records)
        assert made == Writer("demo", "https://a.example/").pages(root, records)
        (file,) = json.loads(made["index.v1+json"])["files"]
        page = f"http://index.test/{simple_path(root, 'demo')}/"
        assert urljoin(page, file["url"]).endswith(f"index.test/{file_path(nasty).replace('+', '%2B')}")


@pytest.mark.parametrize("moment", ["2024-01-01T00:00:00Z", '"', "2024-01-01T00:00:00.000000+01:00"])
def test_a_page_with_another_upload_time_is_none_of_ours(nasty: WheelRecord, moment: str) -> None:
    page = json.loads(Writer("demo").pages("", [nasty])["index.v1+json"])
    page["files"][0]["upload-time"] = moment
    with pytest.raises(ValueError, match="upload time"):
        records_of(json.dumps(page).encode())


def test_pages_state_the_version_of_the_interface(nasty: WheelRecord) -> None:
    made = pages(checked([nasty])) | {f"simple/{k}": v for k, v in root_pages(["demo"]).items()}
    assert '<meta name="pypi:repository-version" content="1.4">' in made["simple/demo/index.html"].decode()
    assert json.loads(made["simple/index.v1+json"])["meta"] == {"api-version": "1.4"}


def test_projects_are_listed_by_their_normalized_name() -> None:
    made = root_pages(["demo", "torch-npu"])
    assert json.loads(made["index.v1+json"])["projects"] == [{"name": "demo"}, {"name": "torch-npu"}]
    assert '<a href="torch-npu/">torch-npu</a>' in made["index.html"].decode()
    assert WheelRecord("Torch_NPU-1.0-py3-none-any.whl", "", 0, None, moment(MOMENT)).project == "torch-npu"


def test_versions_are_listed_oldest_first(nasty: WheelRecord) -> None:
    def of(version: str) -> WheelRecord:
        metadata = nasty.metadata.replace(b"1.0+cpu.1", version.encode())
        return dataclasses.replace(nasty, filename=f"demo-{version}-py3-none-any.whl", metadata=metadata)

    made = pages(checked([of("1.10"), of("1.9"), of("1.10rc1")]))
    assert json.loads(made["simple/demo/index.v1+json"])["versions"] == ["1.9", "1.10rc1", "1.10"]


words = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,8}", fullmatch=True)
cann_sets = st.lists(st.sampled_from(["8.0.RC3", "8.5.0", "9.0.0"]), max_size=2, unique=True).map(tuple)
side_sets = st.lists(
    st.builds(SideFile, st.sampled_from([".intoto.jsonl", ".cdx.json"]), st.just("b" * 64)),
    max_size=2,
    unique_by=lambda side: side.suffix,
).map(tuple)


@given(record_sets, st.lists(words, max_size=2, unique=True).map(tuple), cann_sets, side_sets)
def test_the_merged_page_is_the_record_set(
    given_records: list[WheelRecord],
    lines: tuple[str, ...],
    canns: tuple[str, ...],
    sides: tuple[SideFile, ...],
) -> None:
    expected = checked(dataclasses.replace(r, lines=lines, canns=canns, sides=sides) for r in given_records)
    assert tuple(records_of(pages(expected)["simple/demo/index.v1+json"])) == expected


def test_a_line_that_ended_is_archived_with_its_reason(nasty: WheelRecord) -> None:
    record = dataclasses.replace(nasty, lines=("v1.0-1.0",))
    layout = Layout(statuses={"v1.0-1.0": Status("archived", "ended <2020>")})
    made = pages([record], "line/v1.0-1.0", layout)
    folder = "line/v1.0-1.0/simple/demo"
    base = f"http://index.test/{folder}/"
    html = ProjectPage.from_html("demo", made[f"{folder}/index.html"].decode(), base_url=base)
    document = json.loads(made[f"{folder}/index.v1+json"])
    for page in (html, ProjectPage.from_json_data(document, base_url=base)):
        assert (page.status, page.status_reason) == ("archived", "ended <2020>")
        assert page.packages[0].url.startswith("http://index.test/files/")
    merged = json.loads(pages([record], "", layout)["simple/demo/index.v1+json"])
    assert merged["project-status"] == {"status": "active"}
