"""What .ci/run is made of: where only the README's list can be found, and which tests are then left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.needs import CROSS, lacks

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "ci"))

import bare  # noqa: E402
import clang_tidy  # noqa: E402
import downstream  # noqa: E402
import weekly  # noqa: E402


def in_bare(*command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(ROOT / "ci/bare.py"), *command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


def beyond() -> list[str]:
    """The packages that the README does not name, as the one command that installs them prints them."""
    command = ["bash", str(ROOT / "ci/machine.sh"), "--beyond"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_in_bare_there_is_what_the_readme_names_and_nothing_beyond() -> None:
    names = ["g++", "git", "python3", "bash", "ld", "tar"]
    hidden = [
        "ccache",
        "chromium",
        "docker",
        "dockerd",
        "mmdebstrap",
        "qemu-aarch64-static",
        "uv",
        "aarch64-linux-gnu-g++",
    ]
    script = " ".join(
        ["for name in", *names, *hidden, '; do command -v "$name" >/dev/null && echo "$name"; done; true']
    )
    assert in_bare("sh", "-c", script).stdout.split() == names
    asked = "import os, sys; print(os.environ['DOCKER_HOST'], os.path.exists(os.environ['DOCKER_HOST'][7:]))"
    assert in_bare("python3", "-c", asked).stdout.endswith(" False\n")


def test_python_in_bare_is_debians() -> None:
    """That of the README's readers: older than ours, and other things are missing in it."""
    own = Path("/usr/bin/python3")
    if not own.exists():
        lacks("python3")
    ask = ("-c", "import sys; print(sys.version)")
    there = subprocess.run([own, *ask], capture_output=True, text=True, check=True).stdout
    assert in_bare("python3", *ask).stdout == there


def test_an_environment_made_in_bare_lives_on_and_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    made = in_bare("sh", "-c", f"python3 -m venv --without-pip {tmp_path}/env && exit 7")
    assert made.returncode == 7, made.stderr
    done = subprocess.run([tmp_path / "env/bin/python", "-c", "print(1)"], capture_output=True, check=False)
    assert done.stdout == b"1\n"


def test_the_readmes_list_is_the_one_that_bare_leaves() -> None:
    for page in ("README.md", "README.zh.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in {"python3-venv", "g++", "git"} & set(bare.NAMED):
            assert f"`{name}`" in text, f"{page} does not name {name}"
    assert not set(beyond()) & set(bare.NAMED)


def test_one_command_installs_all_that_a_test_may_need() -> None:
    programs = {"docker.io", "mmdebstrap", "ccache", "chromium", "nginx-light", "strace"}
    assert {*programs, *CROSS.values(), "python3-dev"} >= set(beyond()) - {"qemu-user-static"}
    assert len(beyond()) == 9
    script = (ROOT / ".ci/run").read_text()
    assert "apt-get" not in script, "what CI installs and what people are told to install is one list"
    assert "bash ci/machine.sh" in script


TESTS = """
import pytest
def test_runs(): pass
def test_needs(): LACKS
def test_of(): pytest.skip("only root can")
"""


@pytest.mark.parametrize(
    ("without", "chosen", "outcome", "workers"),
    [
        ("ccache docker.io", "runs or needs", "1 passed, 1 skipped", ()),
        (
            "ccache docker.io",
            "runs or needs",
            "1 passed, 1 skipped",
            ("-p", "by_file", "--numprocesses=2"),
        ),
        ("docker.io", "runs or needs", "1 failed, 1 passed", ()),
        ("", "runs or needs", "1 failed, 1 passed", ("--numprocesses=2",)),
        ("ccache", "of", "1 failed", ()),
    ],
)
def test_only_a_named_need_of_a_hidden_tool_is_left_out(
    tmp_path: Path, without: str, chosen: str, outcome: str, workers: tuple[str, ...]
) -> None:
    skip = "import sys; sys.path.insert(0, %r); from tests.needs import lacks; lacks('ccache', 'said')"
    (tmp_path / "test_it.py").write_text(TESTS.replace("LACKS", skip % str(ROOT)))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    names = tmp_path / "left-out"
    settings = {"CI": "true", "CI_WITHOUT": without, "CI_LEFT_OUT": str(names)}
    environment = {**os.environ, **settings, "PYTHONPATH": f"{ROOT / 'ci'}{os.pathsep}{ROOT / 'release'}"}
    pytest_words = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no_skips",
        "-q",
        *workers,
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*pytest_words, "-k", chosen, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout, done.stdout + done.stderr
    assert done.returncode == ("failed" in outcome)
    if "skipped" not in outcome:
        assert not names.exists()
        return
    assert names.read_text() == f"{tmp_path}/test_it.py::test_needs\n"
    # The second part: exactly those, and nothing is hidden any more.
    again = subprocess.run(
        [*pytest_words, f"@{names}"],
        cwd=tmp_path,
        env={**environment, "CI_WITHOUT": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (again.returncode, "1 failed" in again.stdout) == (1, True), again.stdout


def test_a_file_that_is_skipped_whole_is_a_failure_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('not_there')\n")
    environment = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT / "ci")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no_skips", "-q", str(tmp_path), "--rootdir", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "cannot run here, and in CI that is a failure" in done.stdout


def test_each_part_of_the_weekly_run_can_start() -> None:
    """What they name is there, and their options are known."""
    found = list(weekly.parts())
    assert len({part.name for part in found}) == len(found)
    for part in found:
        assert "{" not in " ".join((part.name, *part.command)), part.name
        for word in part.command:
            if word.startswith(("tests/", "ci/")):
                files = [ROOT / word, *(ROOT / word).glob("**/test_*.py")]
                assert files[0].exists(), word
                text = "".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
                assert word.startswith("ci/") or "on_demand" in text, f"{word} has nothing on demand"
    (names,) = [part.command[2:] for part in found if part.name == "names"]
    assert clang_tidy.parse(names).torch == ""


def test_the_table_of_weekly_parts_is_fresh() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert weekly.page(text) == text, "run: python ci/weekly.py --page"


def test_a_weekly_part_is_due_again_after_a_failure_or_some_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weekly, "RECORD", tmp_path / "runs.json")
    monkeypatch.setattr(weekly, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text("Before.\n<!-- weekly -->\n<!-- /weekly -->\nAfter.\n")
    runs = {
        "fuzz": weekly.Run("2026-03-08", "0123456789", 30, True, "no find"),
        "kill": weekly.Run("2026-03-08", "0123456789", 5, False, "1 failed"),
        "suite-2.13.0": weekly.Run("2026-03-01", "0123456789", 5, True, "9 passed"),
    }
    for name, run in runs.items():
        weekly.record({name: run})
    assert weekly.recorded() == runs
    left = weekly.due(weekly.parts(), 7, date(2026, 3, 8))
    assert set(left) == {part.name for part in weekly.parts()} - {"fuzz"}
    assert "suite-2.13.0" not in weekly.due(weekly.parts(), 8, date(2026, 3, 8))
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("Before.")
    assert page.endswith("After.\n")
    assert "| 2026-03-08, 0123456789, 5 min, failed: 1 failed |" in page
    assert re.search(r"\| `suite-TORCH` \|.*\| since 2026-03-01: 1 of \d+, 0 failed \|", page)


def test_a_run_of_changed_files_is_not_put_down_to_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(weekly, "ROOT", tmp_path)
    monkeypatch.setattr(weekly, "RECORD", tmp_path / "ci" / "weekly_runs.json")
    assert re.fullmatch("[0-9a-f]{10}", weekly.commit())
    (tmp_path / "new.py").write_text("")
    assert weekly.commit() == ""
    monkeypatch.setattr(weekly, "parts", lambda: iter(()))
    assert weekly.main(["--record"]) == 2
    assert "commit them first" in capsys.readouterr().err


def test_what_a_weekly_part_said_last_fits_a_table(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"a\n\x1b[32m== \x1b[1m3 passed\x1b[0m | in {ROOT}/tests ==\x1b[0m\n\n")
    assert weekly.last_line(log) == "3 passed / in tests"


def test_with_two_processes_a_file_or_a_group_stays_in_one(tmp_path: Path) -> None:
    tests = (
        "import os, pytest\n"
        "@pytest.mark.parametrize('one', range(3))\n"
        "def test_it(one): print(f'{WHO} {os.getpid()}.')\n"
    )
    for name in ("a/test_a", "b/test_b", "tests/docker/test_c", "tests/docker/test_d"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tests.replace("{WHO}", name[:1]))
    words = ["-p", "by_file", "--numprocesses=4", "-rP", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "ci")},
        capture_output=True,
        text=True,
        check=False,
    )
    where = re.findall(r"^([abt]) (\d+)\.$", done.stdout, re.MULTILINE)
    assert len(where) == 12, done.stdout
    assert len(set(where)) == 3, where


def test_the_page_on_other_projects_has_the_counts_of_the_record() -> None:
    record = downstream.load("accelerate")
    page = (ROOT / "docs" / "downstream.md").read_text(encoding="utf-8")
    assert f"| accelerate | the simulator | {record.passed} | {len(record.known)} |" in page
    assert f"Version {record.version}," in page


def test_a_run_of_another_project_is_held_against_its_record(tmp_path: Path) -> None:
    """What fails unknown, what fails no more, and another count are told; a failed teardown is a failure."""
    record = downstream.Record("some", "1", "torch-npu", (), (), {}, 1, {"no files": ("a.B.old", "a.B.torn")})
    cases = {"good": "", "new": "<failure/>", "old": "", "torn": "<error/>", "left": "<skipped/>"}
    text = "".join(
        f'<testcase classname="a.B" name="{name}">{body}</testcase>' for name, body in cases.items()
    )
    report = tmp_path / "report.xml"
    report.write_text(f'<testsuite>{text}<testcase classname="a.B" name="torn"/></testsuite>')
    assert downstream.differences(record, downstream.outcomes(report)) == [
        "fails, and is not in the record: a.B.new",
        "does not fail any more: a.B.old",
        "2 tests passed, the record says 1",
    ]
