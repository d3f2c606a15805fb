"""Release notes as records: the founding document whole, issues that move by themselves, rules that fail."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.matrix import Matrix, load
from wheelmill.notes import Notes, NotesError, NotesLookupError, check
from wheelmill.notes import load as load_notes

from tests.matrix.small import COMPAT

NOTES = Path(__file__).parents[2] / "release" / "notes"

# The founding document, counted by hand and by cells: rows of the feature table that are entries, rows that
# name a model, rows of the issue table, servers with their operating systems, paragraphs of the user notice.
PRINTED = {
    "3.0.RC3": (8, 0, 6, 2, 2),
    "3.0.RC2": (4, 0, 6, 2, 3),
    "3.0.RC1": (5, 0, 6, 2, 3),
    "2.0.4": (7, 0, 6, 2, 2),
    "2.0.3": (5, 26, 6, 2, 2),
    "2.0.2": (4, 7, 6, 2, 1),
}
# Topics of the feature table, with the rows under each.
TOPICS = {
    "3.0.RC3": {
        "适配NPU的PyTorch1.5.0特性": 1,
        "适配NPU的PyTorch1.8.1特性": 3,
        "适配NPU的PyTorch1.11.0特性": 4,
    },
    "3.0.RC2": {"适配NPU的PyTorch1.5.0特性": 1, "适配NPU的PyTorch1.8.1特性": 3},
    "3.0.RC1": {"适配NPU的PyTorch1.5.0特性": 2, "适配NPU的PyTorch1.8.1特性": 3},
    "2.0.4": {"适配NPU的PyTorch1.5.0特性": 3, "适配NPU的PyTorch1.8.1特性": 2, "OS兼容性": 2},
    "2.0.3": {"适配NPU的PyTorch特性": 5, "训练模型": 26},
    "2.0.2": {"适配训练模型": 7, "适配NPU的PyTorch特性": 4},
}

SMALL = """\
version: {version}
product: torch_npu
line: v2.1.0-5.0.rc3
notice:
  - {{zh: 请先升级CANN 7.0.0。, en: Upgrade to CANN 7.0.0 first.}}
features:
  - zh: 运行时
    en: Runtime
    entries:
      - title: {{zh: 流, en: Streams}}
        zh: 支持`torch.npu.Stream`。
        en: "`torch.npu.Stream` is supported."
changes: []
fixed: []
known: {known}
"""
ISSUE = """
  - id: slow-copy
    title: {{zh: 拷贝, en: Copies}}
    zh: 拷贝很慢。
    en: Copies are slow.
    since: [{since}]
    fixed_in: [{fixed}]
    fix: {{zh: 拷贝变快。, en: Copies are fast now.}}"""


@pytest.fixture(scope="module")
def full() -> Matrix:
    return load(COMPAT)


@pytest.fixture(scope="module")
def matrix(full: Matrix) -> Matrix:
    """Without the servers of printed notes, so that a folder of one note is whole."""
    return replace(full, document=replace(full.document, release_notes=()))


@pytest.fixture(scope="module")
def notes(full: Matrix) -> Notes:
    return load_notes(NOTES, full)


def write(folder: Path, version: str, known: str = "[]", text: str = SMALL) -> Path:
    path = folder / f"{version}.yaml"
    path.write_text(text.format(version=version, known=known), encoding="utf-8")
    return path


# -------------------------------------------------------------------------------------- the founding document
@pytest.mark.parametrize("version", PRINTED)
def test_every_row_of_the_founding_document_is_a_record(notes: Notes, version: str) -> None:
    note = notes.note(version)
    features = note.record.features
    assert note.hardware is not None
    counted = (
        sum(len(topic.entries) for topic in features),
        sum(len(topic.names) for topic in features),
        len(note.known),
        len(note.hardware.hardware),
        len(note.record.notice),
    )
    assert counted == PRINTED[version]
    rows = {topic.zh: len(topic.entries) + len(topic.names) for topic in features}
    assert rows == TOPICS[version]
    assert (note.record.changes, note.record.fixed, note.repaired) == ((), (), ())


def test_all_six_versions_are_there_and_102_rows(notes: Notes) -> None:
    assert [one.version for one in notes.records if one.product == "FrameworkPTAdapter"] == list(PRINTED)
    assert sum(entries + models + issues for entries, models, issues, _, _ in PRINTED.values()) == 102


def test_models_were_printed_as_they_are_kept(notes: Notes) -> None:
    names = {version: [name for topic in notes.note(version).record.features for name in topic.names]
             for version in ("2.0.2", "2.0.3")}  # fmt: skip
    assert names["2.0.2"] == ["YOLOV4", "YOLOV3", "DB", "RFCN", "CRNN", "DenseNet161", "DenseNet191"]
    assert (names["2.0.3"][0], names["2.0.3"][-1], len(set(names["2.0.3"]))) == (
        "CenterFace",
        "FaceBoxes",
        26,
    )
    (topic,) = (one for one in notes.note("2.0.2").record.features if one.names)
    assert topic.printed == {"DenseNet161": "Densenset161", "DenseNet191": "Densenset191"}


def test_the_six_known_issues_are_those_of_every_version(notes: Notes) -> None:
    first = notes.note("2.0.2").known
    assert [issue.zh for issue in first] == [
        "NPU不支持float16类型的inf/nan数据输入输出。",
        "出现4D以上的format时不能降维。",
        "要求一次训练任务中不同device上执行的图相同。",
        "当前只支持1/2/4/8P粒度的分配。",
        "只支持int8，int32，float16和float32数据类型。",
        "Apex当前版本的实现方式主要为python实现，不支持APEX中的自定义优化CUDA Kernel。",
    ]
    for version in PRINTED:
        assert notes.note(version).known == first
        record = notes.note(version).record
        assert record.known == (first if version == "2.0.2" else ())


def test_known_issues_per_adapter_version(notes: Notes) -> None:
    """A version is covered by its own record, or by that of the series of its line."""
    assert len(notes.issues_of("1.8.1rc3")) == 6
    assert len(notes.issues_of("1.5.0.post2")) == 6
    assert {issue.id for issue in notes.issues_of("2.1.0rc1")} == {
        issue.id for issue in notes.note("2.1.0rc1").known
    }
    assert notes.issues_of("1.11.0") == ()
    assert notes.issues_of("banana") == ()


def test_compatibility_is_that_of_the_matrix(notes: Notes, full: Matrix) -> None:
    note = notes.note("3.0.RC3")
    assert note.lines == tuple(line for line in full.lines if line.series == "v3.0.rc3")
    assert note.hardware in full.document.release_notes
    for path in NOTES.glob("*.yaml"):
        assert not re.search(r"CentOS|A800|aarch64", path.read_text(encoding="utf-8")), path.name


# ------------------------------------------------------------------------------------------- issues that move
def test_an_issue_moves_to_the_fixed_ones_by_itself(tmp_path: Path, matrix: Matrix) -> None:
    write(tmp_path, "2.1.0rc1", ISSUE.format(since="", fixed="2.1.0.post1"))
    for later in ("2.1.0rc2", "2.1.0.post1", "2.1.0.post2"):
        write(tmp_path, later)
    notes = load_notes(tmp_path, matrix)
    states = {one.version: ([i.id for i in one.known], [i.id for i in one.repaired]) for one in notes.all()}
    assert states == {
        "2.1.0rc1": (["slow-copy"], []),
        "2.1.0rc2": (["slow-copy"], []),
        "2.1.0.post1": ([], ["slow-copy"]),
        "2.1.0.post2": ([], []),
    }
    assert [issue.id for issue in notes.issues_of("2.1.0")] == ["slow-copy"]  # between, without a record
    assert notes.issues_of("2.1.0.post9") == ()


def test_an_issue_reaches_another_torch_only_by_since(tmp_path: Path, matrix: Matrix) -> None:
    write(tmp_path, "2.1.0rc1", ISSUE.format(since="2.7.1.post2", fixed="2.7.1.post4"))
    notes = load_notes(tmp_path, matrix)
    known = {version: bool(notes.issues_of(version)) for version in
             ("2.1.0.post9", "2.7.1", "2.7.1.post2", "2.7.1.post3", "2.7.1.post4", "2.8.0")}  # fmt: skip
    assert known == {
        "2.1.0.post9": True, "2.7.1": False, "2.7.1.post2": True, "2.7.1.post3": True, "2.7.1.post4": False,
        "2.8.0": False,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ bad records
BROKEN = [
    ("    en: Runtime\n", "", "required-key", 7),
    ("    zh: 运行时\n", "", "required-key", 7),
    ("en: Runtime", 'en: ""', "both-languages", 8),
    ("en: Runtime", 'en: " "', "both-languages", 8),
    ("en: Runtime", "en: 运行时", "both-languages", 8),
    ("zh: 支持`torch.npu.Stream`。", 'zh: "`torch.npu.Stream` is now supported here."',
     "both-languages", 11),
    ("en: Upgrade to CANN 7.0.0 first.", "en: Upgrade to CANN 7.0.1 first.", "same-literals", 5),
    ('en: "`torch.npu.Stream` is', 'en: "`torch.npu.Event` is', "same-literals", 11),
    ("en: Runtime", "en: TODO Runtime", "no-draft", 8),
    ("notice:", "notices:", "known-key", 4),
    ("product: torch_npu", "product: torch", "type", 2),
    ("line: v2.1.0-5.0.rc3", "line: v9", "known-reference", 3),
    ("line: v2.1.0-5.0.rc3\n", "", "line-or-series", 1),
    ("line: v2.1.0-5.0.rc3", "series: v5.0.rc3", "line-or-series", 1),
    ("product: torch_npu\nline: v2.1.0-5.0.rc3", "product: FrameworkPTAdapter\nseries: v3.0.0",
     "version-of-series", 3),
    ("line: v2.1.0-5.0.rc3", "line: v2.0.1-5.0.rc3", "version-of-line", 1),
    ("version: 2.1.0rc1", "version: 2.1.0rc2", "file-names-version", 1),
    ("version: 2.1.0rc1", "version: banana", "version", 1),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[2]}: {case[1].strip() or case[0].strip()}")
def test_a_mistake_is_a_finding_where_it_stands(
    tmp_path: Path, matrix: Matrix, case: tuple[str, str, str, int]
) -> None:
    old, new, rule, line = case
    whole = SMALL.format(version="2.1.0rc1", known="[]")
    assert whole.count(old) == 1 or old == "    zh: 运行时\n"
    if old == "    zh: 运行时\n":
        whole, old, new = whole.replace("  - zh: 运行时\n    en", "  - en"), "", ""
    path = tmp_path / "2.1.0rc1.yaml"
    path.write_text(whole.replace(old, new, 1) if old else whole, encoding="utf-8")
    found = check(tmp_path, matrix)
    assert (rule, line) in [(one.rule, one.line) for one in found], [str(one) for one in found]
    assert all(one.file == str(path) and one.hint for one in found)


def test_the_record_that_is_broken_above_is_in_order_as_it_is(tmp_path: Path, matrix: Matrix) -> None:
    write(tmp_path, "2.1.0rc1", ISSUE.format(since="2.7.1", fixed="2.1.0, 2.7.1.post1"))
    assert check(tmp_path, matrix) == ()


@pytest.mark.parametrize("fixed", ["2.1.0rc1", "2.1.0.dev1", "2.8.0"])
def test_a_fix_before_the_issue_or_elsewhere_is_a_finding(tmp_path: Path, matrix: Matrix, fixed: str) -> None:
    write(tmp_path, "2.1.0rc1", ISSUE.format(since="2.7.1", fixed=fixed))
    assert [one.rule for one in check(tmp_path, matrix)] == ["fixed-later"]


def test_an_issue_is_written_once(tmp_path: Path, matrix: Matrix) -> None:
    for version in ("2.1.0rc1", "2.1.0"):
        write(tmp_path, version, ISSUE.format(since="", fixed=""))
    (found,) = check(tmp_path, matrix)
    assert found.rule == "unique-issue"
    with pytest.raises(NotesError, match="unique-issue"):
        load_notes(tmp_path, matrix)


def test_all_mistakes_of_all_files_are_gathered(tmp_path: Path, matrix: Matrix) -> None:
    for version in ("2.1.0rc1", "2.1.0rc2"):
        write(tmp_path, version, text=SMALL.replace("en: Runtime", "de: Laufzeit"))
    with pytest.raises(NotesError) as caught:
        load_notes(tmp_path, matrix)
    assert {Path(one.file).name for one in caught.value.findings} == {"2.1.0rc1.yaml", "2.1.0rc2.yaml"}


def test_a_version_without_a_record_names_the_nearest_that_have_one(notes: Notes) -> None:
    with pytest.raises(NotesLookupError, match=r"no release note for '3\.0\.RC9'") as caught:
        notes.note("3.0.RC9")
    assert caught.value.hint is not None
    assert "3.0.RC3" in caught.value.hint
    assert "2.0.2" not in caught.value.hint


def test_the_project_s_own_records_are_in_order(full: Matrix) -> None:
    assert [str(one) for one in check(NOTES, full)] == []


def test_a_file_that_nobody_would_read_is_a_finding(tmp_path: Path, matrix: Matrix) -> None:
    write(tmp_path, "2.1.0rc1").rename(tmp_path / "2.1.0rc1.yml")
    for name in ("README.md", ".2.1.0rc1.yaml.swp"):
        (tmp_path / name).write_text("Notes.")
    (found,) = check(tmp_path, matrix)
    assert (found.rule, Path(found.file).name) == ("known-file", "2.1.0rc1.yml")


def test_a_folder_that_is_not_there_is_a_finding(tmp_path: Path, matrix: Matrix) -> None:
    assert [one.rule for one in check(tmp_path / "none", matrix)] == ["readable-file"]


def test_a_printed_note_that_is_gone_is_a_finding(tmp_path: Path, full: Matrix) -> None:
    for path in NOTES.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert check(tmp_path, full) == ()
    (tmp_path / "2.0.4.yaml").unlink()
    (found,) = check(tmp_path, full)
    assert (found.rule, "2.0.4" in found.message) == ("note-of-matrix", True)
