"""Reading the matrix: what the model promises, and a named error with file and line per mistake of form."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wheelmill.matrix import MatrixError, MatrixLookupError, load
from wheelmill.matrix.lint import lint
from wheelmill.matrix.text import MAX_DEPTH

from tests.matrix.small import COMPAT, SMALL, line_of


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "compat.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def errors(path: Path) -> list[tuple[str, int]]:
    """(rule, line) of everything that keeps the file from loading."""
    with pytest.raises(MatrixError) as caught:
        load(path)
    for finding in caught.value.findings:
        assert finding.file == str(path)
        assert finding.message
        assert finding.hint
        assert f"{path}:{finding.line}: error:" in str(caught.value)
    return [(finding.rule, finding.line) for finding in caught.value.findings]


def test_small_matrix_loads(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    matrix = load(path)
    (line,) = matrix.lines
    assert (line.branch, line.cann, line.adapter, line.torch.version) == (
        "v2.1.0-5.0.rc3", "7.0.RC1", "2.1.0rc1", "2.1.0",
    )  # fmt: skip
    assert line.published is not None
    assert line.published.adapter == "2.1.0.rc1"
    assert matrix.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert line.at.of("cann") == line_of(SMALL, "cann: 7.0.RC1")


def test_cells_and_their_names(tmp_path: Path) -> None:
    matrix = load(write(tmp_path, SMALL))
    assert [cell.key for cell in matrix.cells()] == [
        "v2.1.0-5.0.rc3/3.8/aarch64",
        "v2.1.0-5.0.rc3/3.8/x86_64",
    ]
    cell = matrix.cell("3.8", "aarch64")
    assert (cell.name, cell.python_tag, cell.manylinux, cell.cxx11_abi) == (
        "3.8-aarch64", "cp38", "manylinux_2_17", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("python", "options", "says"),
    [
        ("3.9", {}, "3.8-aarch64"),
        ("3.8", {"torch": "2.9.0"}, "v2.1.0-5.0.rc3 (torch 2.1.0)"),
        ("3.8", {"line": "v9.9.9-1.0.0"}, "v2.1.0-5.0.rc3"),
    ],
)
def test_missing_cell_says_what_exists(
    tmp_path: Path, python: str, options: dict[str, str], says: str
) -> None:
    matrix = load(write(tmp_path, SMALL))
    with pytest.raises(MatrixLookupError) as caught:
        matrix.cell(python, "aarch64", **options)
    assert caught.value.hint is not None
    assert says in caught.value.hint


def test_record_cannot_be_asked_for_as_cell() -> None:
    with pytest.raises(MatrixLookupError, match=r"is a record, it cannot be built: .*plug-in interface"):
        load(COMPAT).cell("3.8", "aarch64", line="v1.8.1-5.0.rc2")


def test_wheels_of_python_3_7_name_pymalloc_in_their_abi() -> None:
    matrix = load(COMPAT)
    cells = [matrix.cell(python, "aarch64", torch="1.11.0") for python in ("3.7", "3.8", "3.10")]
    tags = [(cell.python_tag, cell.abi_tag) for cell in cells]
    assert tags == [("cp37", "cp37m"), ("cp38", "cp38"), ("cp310", "cp310")]


def test_a_record_says_what_to_take_instead() -> None:
    with pytest.raises(MatrixLookupError) as caught:
        load(COMPAT).buildable_line("v1.5.0-3.0.0")
    assert caught.value.hint == "Take another line, for CANN 6.0.1: v1.11.0-3.0.0 (torch 1.11.0)."
    with pytest.raises(MatrixLookupError) as caught:
        load(COMPAT).buildable_line("2.0.2.tr5")
    assert caught.value.hint is not None
    assert "the oldest that can be built: v1.11.0-3.0.rc3" in caught.value.hint


def test_newest_line_serves_a_cell_by_default() -> None:
    matrix = load(COMPAT)
    newest = next(line for line in matrix.lines if line.buildable)
    assert matrix.cell("3.11", "x86_64").line == newest
    assert newest.kind == "development"
    assert matrix.cell("3.8", "aarch64", torch="2.0.1").line.torch.version == "2.0.1"
    assert matrix.cell("3.8", "aarch64", line="v2.1.0-5.0.rc3").line.adapter == "2.1.0rc1"


@pytest.mark.parametrize(
    ("old", "new", "rule", "at"),
    [
        ("    cann: 7.0.RC1", "    cann: 7.0.RC1\n    cann: 7.0.RC2", "unique-key", "cann: 7.0.RC2"),
        ("    cann: 7.0.RC1", "    can: 7.0.RC1", "known-key", "    can: 7.0.RC1"),
        ("    cann: 7.0.RC1\n", "", "required-key", "- branch:"),
        ("    cann: 7.0.RC1", "    cann: 7.0", "type", "    cann: 7.0"),
        ("    cann: 7.0.RC1", "    cann: [7.0.RC1]", "type", "cann: ["),
        ("    cann: 7.0.RC1", "    cann:", "type", "    cann:"),
        ('    pythons: ["3.8"]\n', "    pythons: [3.8]\n", "type", "pythons: [3.8]"),
        ('    pythons: ["3.8"]\n', '    pythons: "3.8"\n', "type", '    pythons: "3.8"'),
        ("buildable: true", "buildable: yes", "type", "buildable: yes"),
        ("buildable: true", 'buildable: "true"', "type", 'buildable: "true"'),
        ("cxx_standard: 17", "cxx_standard: 17.0", "type", "cxx_standard: 17.0"),
        ("cxx_standard: 17", "cxx_standard: 017", "type", "cxx_standard: 017"),
        ("kind: published", "kind: publshed", "type", "kind: publshed"),
        ("arches: [aarch64, x86_64]", "arches: [arm64]", "type", "arches: [arm64]"),
        ("cxx11_abi: {aarch64", "cxx11_abi: {riscv64", "known-key", "riscv64"),
        ("released: 2023-10-15", "released: 2023-02-30", "date", "2023-02-30"),
        ("released: 2023-10-15", "released: 2023-2-3", "date", "2023-2-3"),
        ("released: 2023-10-15", 'released: "2023-10-15"', "date", 'released: "2023-10-15"'),
        ("    torch: 2.1.0\n    adapter", "    torch: 2.1.1\n    adapter", "known-reference", "torch: 2.1.1"),
        ("    series: v5.0.rc3\n    source", "    series: v5.0\n    source", "known-reference", "v5.0\n"),
        ("policy: short", "policy: long", "known-reference", "policy: long"),
        ("released_in: maintained", "released_in: planned", "known-reference", "released_in: planned"),
        ("begins: {eol:", "begins: {unmaintained:", "known-reference", "begins: {unmaintained"),
        ("schema: 1\n", "schema: 1\n- a\n", "yaml-syntax", "- a"),
        ("schema: 1\n", "schema:\t\t1\n\tx: 1\n", "yaml-syntax", "\tx: 1"),
        ("    cann: 7.0.RC1", "    cann: &c 7.0.RC1", "no-alias", "&c"),
        ("    cann: 7.0.RC1", "    cann: *c", "no-alias", "*c"),
        ("    cann: 7.0.RC1", "    ? [a]\n    : b\n    cann: 7.0.RC1", "type", "? [a]"),
        ("    cann: 7.0.RC1", "    cann: 'a\x07'", "yaml-syntax", "\x07"),
        ("schema: 1\n", "schema: 1\n---\n", "yaml-syntax", "---"),
        ("    pythons: [", "    pythons: " + "[" * 99, "yaml-depth", "[[["),
    ],
)  # fmt: skip
def test_mistakes_of_form_are_named(tmp_path: Path, old: str, new: str, rule: str, at: str) -> None:
    assert SMALL.count(old) >= 1
    text = SMALL.replace(old, new, 1)
    line = text[: text.index(at)].count("\n") + 1
    assert (rule, line) in errors(write(tmp_path, text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = SMALL.replace("kind: published", "kind: x").replace("cxx_standard: 17", "cxx_standard: x")
    assert len(errors(write(tmp_path, text))) == 2


def test_a_near_key_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="did you mean 'adapter'"):
        load(write(tmp_path, SMALL.replace("    adapter: 2", "    adaptor: 2", 1)))


def test_branch_given_twice_names_the_first(tmp_path: Path) -> None:
    row = SMALL[SMALL.index("  - branch:") : SMALL.index("python_support:")]
    text = SMALL.replace("python_support:", row + "python_support:", 1)
    first = text[: text.index("- branch:")].count("\n") + 1
    second = text[: text.rindex("- branch:")].count("\n") + 1
    with pytest.raises(MatrixError, match=rf":{second}: .*already on line {first}"):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "yaml-syntax"),
        (b"# nothing\n", "yaml-syntax"),
        (b"- 1\n", "type"),
        (b"just words", "type"),
        (b"schema: 1\nname: \xff\n", "utf-8"),
        (b"\x00", "yaml-syntax"),
        (b"[" * 500_000, "yaml-depth"),
        (b"- " * 500_000, "yaml-depth"),
        (b"schema: !!int 1\n", "no-tag"),
        (b"schema: !!python/object/apply:os.system [id]\n", "no-tag"),
        (b"!matrix\nschema: 1\n", "no-tag"),
        (b'a: "\\e[2J"\n', "visible-text"),
        (b'"a\\x07": b\n', "visible-text"),
        (b'a: "b\\u202ec"\n', "visible-text"),
        (b"a: |\n  b\n  c\n", "visible-text"),
        (b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "no-alias"),
    ],
)
def test_files_that_are_no_matrix(tmp_path: Path, content: bytes, rule: str) -> None:
    assert rule in [found for found, _ in errors(write(tmp_path, content))]


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    assert errors(tmp_path) == [("readable-file", 1)]
    assert errors(tmp_path / "missing.yaml") == [("readable-file", 1)]
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero"), Path("/dev/null"), tmp_path / ("x" * 300)):
        assert errors(path) == [("readable-file", 1)]


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "compat.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert errors(path) == [("readable-file", 1)]


def test_depth_bound_leaves_room_for_the_matrix() -> None:
    text = COMPAT.read_text(encoding="utf-8")
    deepest = max((len(line) - len(line.lstrip(" "))) // 2 for line in text.splitlines())
    assert deepest + 2 < MAX_DEPTH


def test_loading_imports_nothing_heavy() -> None:
    """`nox -l` imports the matrix, so what only linting or picking needs stays out."""
    code = (
        "import sys; from wheelmill.matrix import load; import pathlib; load(pathlib.Path(sys.argv[1]));"
        "heavy = {'packaging', 'rich', 'click', 'requests', 'msgspec', 'wheelmill.matrix.policy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(COMPAT)], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


SCALARS = (
    "null|[]|{}|3.8|true|2023-10-15|9999-12-31|0001-01-01|2023-13-01|*a|&a x|-|?||:|: :|- -|>|%|@|#|!|\t"
)
WORDS = st.sampled_from(
    [
        *SCALARS.split("|"),
        "|",
        "2.1.0",
        "9.9.9",
        "v5.0.rc3",
        "eol",
        "２",
        "[1, 2, 3]",
        "[0, 999999999]",
        "{a: b}",
    ]
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_ever_raises_but_named_errors(tmp_path: Path, data: st.DataObject) -> None:
    """Delete, double, move, cut or replace parts of a good file: all that can follow is named errors."""
    lines = SMALL.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        cut = data.draw(st.integers(0, len(line)))
        key, colon, _ = line.partition(": ")
        lines[at : at + 1] = data.draw(
            st.sampled_from(
                [[], [line, line], [line[:cut]], [line[cut:]], ["  " + line], [line[2:]],
                 [f"{key}{colon}{data.draw(WORDS)}"],
                 [line[:cut] + data.draw(st.text(max_size=3)) + line[cut:]]]
            )
        ) or [""]  # fmt: skip
    path = write(tmp_path, "\n".join(lines).encode("utf-8", "surrogatepass"))
    report = lint(path, date(2026, 11, 22))
    for one in report.findings:
        assert (one.file, bool(one.line >= 1 and one.message and one.rule)) == (str(path), True)
    if report.rules:
        assert load(path).lines is not None
    else:
        assert errors(path) == [(one.rule, one.line) for one in report.errors]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_no_bytes_ever_raise_but_named_errors(tmp_path: Path, content: bytes) -> None:
    assert errors(write(tmp_path, content))
