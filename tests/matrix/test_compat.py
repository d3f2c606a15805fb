"""The project's own matrix: it says all that the documents say, and is in order."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Any

import jsonschema
import pytest
import yaml
from wheelmill.matrix import Matrix, load
from wheelmill.matrix.lint import LintReport, lint, render_text, to_json
from wheelmill.matrix.policy import phase_of_series
from wheelmill.matrix.schema import schema

from tests.matrix import printed
from tests.matrix.small import COMPAT

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(COMPAT)


@pytest.fixture(scope="module")
def report() -> LintReport:
    return lint(COMPAT, TODAY)


def test_readme_rows_are_kept_as_printed(matrix: Matrix) -> None:
    found = set()
    for line in matrix.lines:
        if line.source == "readme":
            shown = line.published
            found.add(
                (
                    (shown and shown.cann) or line.cann,
                    (shown and shown.torch) or line.torch.version,
                    (shown and shown.adapter) or line.adapter,
                    line.branch,
                    line.image or "-",
                )
            )
    assert found == printed.rows(printed.README_ROWS)


def test_branch_status_rows_are_kept_as_printed(matrix: Matrix) -> None:
    found = {
        (one.name, one.published.status, one.published.released, one.published.next)
        for one in matrix.series.values()
        if one.policy == "five-stages"
    }
    assert found == printed.rows(printed.README_STATUS)


def test_release_note_systems_are_kept_as_printed(matrix: Matrix) -> None:
    notes = matrix.document.release_notes
    found = {(note.version, one.model, one.published) for note in notes for one in note.hardware}
    assert found >= printed.rows(printed.NOTES_SYSTEMS)
    assert [note.version for note in notes] == ["3.0.RC3", "3.0.RC2", "3.0.RC1", "2.0.4", "2.0.3", "2.0.2"]


def test_torch_download_table_is_kept(matrix: Matrix) -> None:
    wheels = [wheel for wheel in matrix.torches["2.0.1"].wheels if wheel.url is not None]
    found = {(wheel.python, wheel.sha256) for wheel in wheels if wheel.build == "cpu"}
    assert found == printed.rows(printed.README_TORCH)
    assert {wheel.python for wheel in wheels if wheel.arch == "aarch64"} == {"3.8", "3.9", "3.10"}


def test_python_table_keeps_the_floor_of_3_7(matrix: Matrix) -> None:
    table = {row.torch: row for row in matrix.document.python_support if row.source == "readme"}
    assert dict(table["1.11.0"].floors) == {"3.7": ">=3.7.5"}
    assert table["2.0.1"].pythons == table["2.1.0"].pythons == ("3.8", "3.9", "3.10")


def test_policy_has_the_five_printed_stages(matrix: Matrix) -> None:
    stages = [(one.zh, one.time, one.months) for one in matrix.policies["five-stages"].stages]
    assert stages == [
        ("计划", "1—3 个月", (1, 3)),
        ("开发", "3个月", (3, 3)),
        ("维护", "6—12个月", (6, 12)),
        ("无维护", "0—3 个月", (0, 3)),
        ("生命周期终止（EOL）", "N/A", ()),
    ]


def test_development_line(matrix: Matrix) -> None:
    line = matrix.line("v2.13.0")
    assert (line.torch.version, line.pythons, line.arches, line.kind) == (
        "2.13.0", ("3.10", "3.11", "3.12", "3.13"), ("aarch64", "x86_64"), "development",
    )  # fmt: skip
    newer = [one for one in matrix.lines if one.kind == "development" and one.branch != line.branch]
    assert [one.branch for one in newer] == [f"v{one.torch.version}" for one in newer]


def test_torch_1_11_and_every_torch_from_2_0_to_2_12_has_a_published_row(matrix: Matrix) -> None:
    torches = {line.torch.version for line in matrix.lines if line.kind == "published" and line.buildable}
    minors = {tuple(map(int, version.split(".")))[:2] for version in torches}
    assert minors == {(1, 11)} | {(2, minor) for minor in range(13)}


def test_old_abi_ends_per_arch(matrix: Matrix) -> None:
    old = {arch: {t.version for t in matrix.torches.values() if t.cxx11_abi.get(arch) is False}
           for arch in ("aarch64", "x86_64")}  # fmt: skip
    assert "2.5.1" in old["aarch64"]
    assert "2.6.0" not in old["aarch64"]
    assert "2.6.0" in old["x86_64"]
    assert "2.7.1" not in old["x86_64"]


def test_matrix_is_in_order(report: LintReport) -> None:
    assert [str(error) for error in report.errors] == []
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("base-is-torch",
         {"v1.8.1-5.0.rc2", "v1.11.0-5.0.rc2", "v1.8.1-5.0.rc1", "v1.11.0-5.0.rc1", "2.0.3.tr5"}),
        ("branch-names-torch", {"v1.8.1-5.0.rc2", "v1.11.0-5.0.rc2", "v1.8.1-5.0.rc1", "v1.11.0-5.0.rc1"}),
        ("image-names-torch", {"v1.8.1-5.0.rc2", "v1.11.0-5.0.rc2"}),
        ("canonical-version",
         {"v2.1.0-5.0.rc3", "v2.0.1-5.0.rc2", "v1.11.0-3.0.0", "v1.11.0-3.0.rc3", "v1.8.1-3.0.rc3",
          "v1.8.1-3.0.rc2", "v1.8.1-3.0.rc1"}),
        ("held-otherwise", {"v2.1.0-6.0.rc1"}),
        ("status-fits-day",
         {"2.14.0", "2.10.0", "2.9.0", "2.8.0", "2.7.1", "v3.0.rc3", "v3.0.0", "v5.0.rc1",
          "v5.0.rc2", "v5.0.rc3"}),
        ("system-version", {"3.0.RC3", "3.0.RC2", "3.0.RC1", "2.0.4"}),
    ],
)  # fmt: skip
def test_contradictions_of_the_documents_are_noted(report: LintReport, rule: str, rows: set[str]) -> None:
    assert {note.message.partition(":")[0] for note in report.notes if note.rule == rule} == rows


def test_twelve_rows_contradict_the_printed_python_tables(report: LintReport) -> None:
    assert Counter(note.rule for note in report.notes)["python-table-fits-wheels"] == 12


def test_a_note_points_at_what_was_printed(report: LintReport) -> None:
    lines = COMPAT.read_text(encoding="utf-8").splitlines()
    (note,) = [one for one in report.notes if "rc2（beta)" in one.message]
    assert "（beta)" in lines[note.line - 1]
    assert "held true: adapter 1.11.0rc2" in note.hint


def test_text_and_json_say_the_same(report: LintReport) -> None:
    assert report.lines >= 71
    text, data = render_text(report), to_json(report)
    assert json.loads(json.dumps(data)) == data
    findings = data["findings"]
    assert isinstance(findings, list)
    assert len(findings) == len(report.findings)
    for one in findings:
        assert f"{one['file']}:{one['line']}: {one['severity']}: {one['message']} [{one['rule']}]" in text
        assert one["hint"] in text
    assert text.splitlines()[-1].startswith(
        f"{COMPAT}: in order: 0 errors, {data['notes']} notes in {report.lines} lines"
    )


def test_committed_schema_is_fresh() -> None:
    committed = json.loads(COMPAT.with_name("compat.schema.json").read_text(encoding="utf-8"))
    assert committed == schema()


class _Yaml12(yaml.SafeLoader):
    """Reads dates as text, as YAML 1.2 (and so the editors that use the schema) does."""


_Yaml12.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(text: str) -> Any:
    return yaml.load(text, Loader=_Yaml12)


def test_matrix_fits_its_schema() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    assert [str(error) for error in validator.iter_errors(_parsed(COMPAT.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    ("old", "new"), [("kind: published", "kind: x"), ("cann: 7.0.RC1", "cann: 7.0"), ("image:", "picture:")]
)
def test_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    data = _parsed(COMPAT.read_text(encoding="utf-8").replace(old, new, 1))
    assert not jsonschema.Draft202012Validator(schema()).is_valid(data)


@pytest.mark.parametrize(
    ("policy", "day", "but"),
    [("five-stages", date(2023, 10, 16), set()), ("four-stages", date(2026, 8, 21), {"2.14.0"})],
)
def test_rules_give_the_printed_status_on_the_day_of_the_document(
    matrix: Matrix, policy: str, day: date, but: set[str]
) -> None:
    """Both status tables follow from days and policy on their own day, every row but one."""
    off = set()
    for series in matrix.series.values():
        if series.policy == policy:
            phase = phase_of_series(series, matrix.policies[policy], day)
            if series.published.status not in phase.zh:
                off.add(series.name)
    assert off == but
