"""Every rule finds its mistake, at the right line, and a rule without such a case here fails."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from wheelmill.matrix.lint import LintReport, lint, render_text, titles

from bench.bench_lint import generate
from tests.matrix.small import COMPAT, SMALL

TODAY = date(2026, 11, 22)

ADDED_TORCH = SMALL[SMALL.index("  - version: 2.1.0") : SMALL.index("    dependencies")].replace(
    "2.1.0", "2.99.0+cpu"
)

NEWEST_TORCH = COMPAT.read_text(encoding="utf-8").partition("\ntorches:\n  - version: ")[2].partition("\n")[0]

# rule, the place after which to look, what stands there, what to write instead; then, where the finding is
# for another line than the changed one, a text after that place on whose line it is.
MISTAKES = [
    ("canonical-version", "branch: v2.1.0-5.0.rc3", "adapter: 2.1.0rc1", "adapter: 2.1.0.rc1"),
    ("canonical-version", "branch: v2.1.0-5.0.rc3", "adapter: 2.1.0rc1", "adapter: 2.1.0（beta)"),
    ("base-is-torch", "branch: v2.1.0-5.0.rc3", "torch: 2.1.0", "torch: 2.2.0"),
    ("base-is-torch", "branch: v2.1.0-5.0.rc3", "adapter: 2.1.0rc1", "adapter: 2.2.0rc1", "torch: 2.1.0"),
    ("branch-names-torch", "branch: v2.0.1-5.0.rc3", "v2.0.1-5.0.rc3", "v2.2.0-5.0.rc3", "torch: 2.0.1"),
    ("branch-names-torch", "", "branch: v2.0.1-5.0.rc3", "branch: main"),
    ("image-names-torch", "", "image: 23.0.RC1-1.11.0", "image: 23.0.RC1-1.8.1"),
    ("cann-version", "branch: v2.1.0-5.0.rc3", "cann: 7.0.RC1", "cann: CANN7"),
    ("unique-adapter-version", "branch: v2.0.1-5.0.rc3", "adapter: 2.0.1", "adapter: 2.0.1.post1"),
    ("versions-rise-with-cann", "branch: v2.1.0-5.0.0", "cann: 7.0.0", "cann: 6.3.RC1"),
    ("series-fits-branch", "branch: v2.1.0-5.0.rc3", "series: v5.0.rc3", "series: v5.0.rc2"),
    ("published-differs", "branch: v2.1.0-5.0.rc3", "source: readme", "source: null"),
    ("published-differs", "branch: v2.1.0-5.0.rc3", "      adapter: 2.1.0.rc1", "      adapter: 2.1.0rc1"),
    ("record-has-reason", "branch: v2.1.0-5.0.rc3", "buildable: true", "buildable: false"),
    ("record-has-reason", "branch: v1.8.1-5.0.rc1", "buildable: false", "buildable: true", "reason:"),
    ("development-is-unpublished", "branch: v2.13.0", "adapter: 2.13.0.dev0", "adapter: 2.13.0"),
    ("newest-first", "branch: v2.10.0-26.1.0", "adapter: 2.10.0.post4", "adapter: 2.10.0.post1",
     "branch: v2.10.0-26.0.0"),
    ("other-version-form", "", "adapter: 2.10.0, cann", "adapter: 2.10.0.post2, cann"),
    ("other-version-form", "", "adapter: 2.10.0, cann: 9.0.0", "adapter: 2.10.0, cann: 9.1.0"),
    ("other-version-form", "", "{adapter: 2.9.0.post4,", "{adapter: 2.8.0.post40,"),
    ("other-version-form", "", "adapter: 2.10.0, cann: 9.0.0", "adapter: 2.10.0, cann: null"),
    ("cann-name-leads-to-a-line", "", "name: 9.0.1, of: 9.0.0", "name: 9.0.1, of: 9.0.2"),
    ("cann-name-leads-to-a-line", "", "name: 9.0.1, of", "name: 9.1.0, of"),
    ("cann-family-has-lines", "cann_families:", '"8.5", "9.0"', '"8.5", "8.9"'),
    ("cann-family-has-lines", "cann_families:", '"8.5", "9.0"', '"8.5", "8.5"'),
    ("chips-and-systems", "", "also: [A2]", "also: [A3]", "- name: Atlas A2"),
    ("chips-and-systems", "", "since: 6.0.rc1", "since: six"),
    ("chips-and-systems", "", 'glibc: "2.24", source: pep600-compliance', 'glibc: "2.24"'),
    ("chips-and-systems", "", '"2.24", source: pep600', '"2.24", reason: a, source: pep600'),
    ("chips-and-systems", "", 'version: "9", glibc: "2.24"', 'version: "9", glibc: "9"'),
    ("pythons-in-order", "branch: v2.1.0-5.0.rc3", '["3.8", "3.9", "3.10"]', '["3.8", "3.10", "3.9"]'),
    ("pythons-in-order", "branch: v2.1.0-5.0.rc3", "[aarch64, x86_64]", "[x86_64, aarch64]"),
    ("pythons-within-torch", "branch: v2.1.0-5.0.rc3", '"3.10"]', '"3.10", "3.12"]'),
    ("sdk-for-every-cell", "branch: v2.0.1-5.0.rc3", '"3.10"]', '"3.10", "3.11"]'),
    ("download-is-folder", "", "download/v5.0.rc3-pytorch2.0.1", "download/v5.0.rc3-pytorch2.0.1/"),
    ("download-is-folder", "", "https://gitee.com", "https://gitee.com@evil.example"),
    ("plain-requirements", "version: 2.13.0", "dependencies: [", "dependencies: ['x @ https://a.example', "),
    ("plain-requirements", "version: 2.13.0", "dependencies: [", "dependencies: ['--pre', "),
    ("plain-requirements", "version: 2.13.0", "dependencies: [", "dependencies: ['-r /etc/passwd', "),
    ("plain-requirements", "version: 2.13.0", "dependencies: [", "dependencies: [numpy, numpy, "),
    ("torch-version", "", "torches:\n", "torches:\n" + ADDED_TORCH, "- version: 2.99.0+cpu"),
    ("torch-version", "", "torches:\n", "torches:\n" + ADDED_TORCH.replace("2.99.0+cpu", "2.5.0"),
     f"- version: {NEWEST_TORCH}"),
    ("torch-facts", "version: 2.13.0", "cxx_standard: 17", "cxx_standard: 18"),
    ("torch-facts", "version: 2.13.0", "x86_64: manylinux_2_28", "x86_64: manylinux2014"),
    ("served-torches", "version: 2.13.0", "serves: [2.14.0, 2.14.1", "serves: [2.14.0, 2.14.1+cpu"),
    ("served-torches", "version: 2.13.0", "serves: [2.14.0, 2.14.1", "serves: [2.14.1, 2.14.0"),
    ("served-torches", "version: 2.13.0", "serves: [2.14.0, 2.14.1", "serves: [2.12.0, 2.14.0, 2.14.1"),
    ("served-torches", "version: 2.13.0", "serves: [2.14.0, 2.14.1", "serves: [2.14.1"),
    ("served-torches", "version: 2.12.0", "dependencies: [", "proven: [2.13.0]\n    dependencies: [",
     "proven: [2.13.0]"),
    ("wheel-within-torch", "version: 2.13.0", '{python: "3.12", arch: x8', '{python: "3.9", arch: x8'),
    ("wheel-within-torch", "version: 2.13.0", '"3.12", arch: x86_64', '"3.12", arch: aarch64'),
    ("sha256-form", "version: 2.13.0", "sha256: 6746dbcb", "sha256: 6746DBCB"),
    ("url-names-wheel", "version: 2.13.0", "%2Bcpu-cp311-cp311", "%2Bcpu-cp312-cp312"),
    ("url-names-wheel", "version: 2.13.0", "whl/cpu/torch-2.13.0%2Bcpu", "whl/cpu/torch-2.13.0"),
    ("policy-stages", "name: five-stages", "months: [6, 12]", "months: [12, 6]"),
    ("stage-allowances", "name: five-stages", "allows: [fix],", "allows: [fix, feature],"),
    ("stage-allowances", "name: five-stages", "allows: [],", "allows: [fix],"),
    ("override-has-reason", "name: 2.14.0", "reason: \"No release day was published, yet the package index "
     "serves 2.14.0.\"", 'reason: " "'),
    ("waiver-is-whole", "waivers:", "until: 2027-11-28", "until: 2026-11-28"),
    ("waiver-is-whole", "waivers:", "until: 2027-11-28", "until: 2028-11-29"),
    ("waiver-is-whole", "waivers:", "version: 2.1.0rc1", "version: 2.0.1rc1"),
    ("waiver-is-whole", "waivers:", "version: 2.1.0rc1", "version: 2.1.0.rc1"),
    ("days-in-order", "name: v5.0.rc3", "unmaintained: 2024-10-15", "unmaintained: 2023-10-15"),
    ("days-follow-policy", "name: v5.0.rc3", "unmaintained: 2024-10-15", "unmaintained: 2025-10-15"),
    ("promise-is-kept", "name: 2.1.0", "reason: \"Ended after 26 months; an older policy kept this branch "
     "for long-term support.\"", 'reason: ""', "begins:"),
    ("printed-days", "name: v5.0.rc3", "released: 2023-10-15", "released: 2023-10-16", "published:"),
    ("schema-version", "", "schema: 1\n", "schema: 2\n"),
    ("schema-version", "", "torch_cpu_index: https://", "torch_cpu_index: https://user@"),
    ("schema-version", "", "torch_with_cuda: {aarch64: 2.11.0}", "torch_with_cuda: {aarch64: v2.11.0}"),
    ("toolkit-installation", "cann_python:", "8.5.0: [", "8_5: [", "cann_python:"),
    ("toolkit-installation", "", '"decorator>=4.4.0"', '"decorator >= ="', "cann_python:"),
    ("toolkit-installation", "", "toolkit_{cann}_linux", "toolkit {cann}_linux", "cann_installers:"),
    ("url-names-wheel", "version: 2.13.0", "url: https://", "url: https://a.example@"),
    ("printed-pythons", "python_support:", '["3.8", "3.9", "3.10"]', '["3.8", "3.9"]'),
    ("notes-cover-lines", "version: 3.0.RC3", "[1.5.0, 1.8.1, 1.11.0]", "[1.5.0, 1.8.1]"),
    ("system-version", "version: 3.0.RC3", 'Ubuntu: ["18.04", "20.04"]', 'Ubuntu: ["18.04", "2.04"]',
     "systems:"),
    ("printed-systems", "version: 2.0.2", 'CentOS: ["7.6"]', 'CentOS: ["7.5"]', "        systems:"),
]  # fmt: skip

# Rules that only ever note, because what they compare with is printed or passes with the days.
NOTING = {"status-fits-day", "waiver-ended", "held-otherwise", "python-table-fits-wheels"}


def linted(folder: Path, text: str, today: date = TODAY) -> LintReport:
    path = folder / "compat.yaml"
    path.write_text(text, encoding="utf-8")
    return lint(path, today)


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: f"{case[0]}: {case[3].strip()}")
def test_mistake_is_an_error_where_it_stands(tmp_path: Path, case: tuple[str, ...]) -> None:
    rule, after, old, new, *elsewhere = case
    text = COMPAT.read_text(encoding="utf-8")
    start = text.index(after)
    changed = text.index(old, start)
    broken = text[:changed] + new + text[changed + len(old) :]
    place = broken.index(elsewhere[0], start) if elsewhere else changed + len(new) - len(new.lstrip())
    line = broken[:place].count("\n") + 1
    assert (rule, line) in [(one.rule, one.line) for one in linted(tmp_path, broken).errors]


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in MISTAKES} | NOTING == set(titles())


def test_every_rule_has_a_title() -> None:
    for name, title in titles().items():
        assert len(title.split()) >= 4, name
        assert not title.endswith("."), name


def test_contradiction_without_a_reason_is_an_error(tmp_path: Path) -> None:
    text = SMALL.replace("reason: Not canonical.", 'reason: " "')
    assert [one.rule for one in linted(tmp_path, text).errors] == ["published-differs"]


def test_published_words_held_true_would_be_an_error(tmp_path: Path) -> None:
    """The same rule on the same words: a note while only published, an error once held true."""
    assert "canonical-version" in {one.rule for one in linted(tmp_path, SMALL).notes}
    held = SMALL.replace("    adapter: 2.1.0rc1", "    adapter: 2.1.0.rc1").replace(
        "    published: {adapter: 2.1.0.rc1, reason: Not canonical.}\n", ""
    )
    report = linted(tmp_path, held)
    assert {one.rule for one in report.errors} == {"canonical-version"}
    assert not {one.rule for one in report.notes} & {"canonical-version"}


def test_status_note_comes_with_the_day(tmp_path: Path) -> None:
    assert "status-fits-day" not in {one.rule for one in linted(tmp_path, SMALL, date(2024, 1, 1)).notes}
    assert "status-fits-day" in {one.rule for one in linted(tmp_path, SMALL, date(2024, 10, 15)).notes}


def test_waiver_ends_with_the_day(tmp_path: Path) -> None:
    text = COMPAT.read_text(encoding="utf-8")
    assert "waiver-ended" not in {one.rule for one in linted(tmp_path, text, date(2027, 11, 27)).notes}
    assert "waiver-ended" in {one.rule for one in linted(tmp_path, text, date(2027, 11, 28)).notes}


def test_waiver_for_a_line_that_is_not_there_does_not_load(tmp_path: Path) -> None:
    text = COMPAT.read_text(encoding="utf-8").replace("    line: v2.1.0-5.0.rc3\n", "    line: v9\n")
    assert [one.rule for one in linted(tmp_path, text).errors] == ["known-reference"]


def test_all_errors_are_gathered(tmp_path: Path) -> None:
    text = COMPAT.read_text(encoding="utf-8")
    text = text.replace("adapter: 2.1.0rc1", "adapter: 2.1.0.rc1", 1).replace(
        "cxx_standard: 17", "cxx_standard: 18", 1
    )
    report = linted(tmp_path, text)
    assert {"canonical-version", "torch-facts"} <= {one.rule for one in report.errors}
    assert report.exit_code == 1
    assert "not in order: " in render_text(report)


def test_unreadable_file_is_a_finding(tmp_path: Path) -> None:
    report = lint(tmp_path / "missing.yaml", TODAY)
    assert [one.rule for one in report.errors] == ["readable-file"]
    assert report.exit_code == 1


def test_generated_rows_of_the_benchmark_are_in_order(tmp_path: Path) -> None:
    """What the benchmark times is real work on a clean file: one note per row, no error."""
    report = linted(tmp_path, generate(45))
    assert (report.lines, len(report.errors), len(report.notes)) == (45, 0, 45)
