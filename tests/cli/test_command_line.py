"""The command line as people use it: a process, its exit code, what stands on stdout and on stderr."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def wheelmill(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelmill", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "release"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = wheelmill(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"wheelmill {command}" in done.stdout
    assert f"{command} " in wheelmill("--help").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["build"], 2, "Name a cell such as 3.11-x86_64"),
        (["build", "3.11"], 1, "such as 3.8-aarch64"),
        (["build", "3.6-x86_64"], 1, "no buildable cell for Python 3.6 on x86_64"),
        (["build", "--line", "v9.9.9"], 1, "There is no line 'v9.9.9'"),
        (["build", "--line", "v1.8.1-3.0.0"], 1, "cannot be built: PyTorch 1.8.1 is from the beginning"),
        (
            ["build", "3.8-x86_64", "--line", "v1.8.1-5.0.rc2"],
            1,
            "for CANN 6.3.RC2: v2.0.1-5.0.rc2 (torch 2.0.1)",
        ),
        (["build", "v1.5.0-3.0.rc1/3.8/aarch64"], 1, "the oldest that can be built: v1.11.0-3.0.rc3"),
        (["build", "--torch", "1.5.0"], 1, "for CANN 6.0.1: v1.11.0-3.0.0 (torch 1.11.0)"),
        (["plan", "--line", "2.0.2.tr5"], 1, "its branch ended on 2022-07-29"),
        (["plan", "--torch", "1.4.0"], 1, "No line is on torch 1.4.0"),
        (["build", "3.11-x86_64", "--torch", "2.0.1"], 1, "with torch 2.0.1"),
        (["pick", "--cann", "banana"], 1, "is not a CANN version"),
        (["pick", "--glibc", "2.99999999999"], 1, "is not a version of glibc; one looks like 2.28"),
        (["site", "--out", "/proc/nowhere"], 1, "/proc/nowhere: No such file or directory"),
        (["pick", "--index-url", "javascript:x"], 1, "is no https or http or file address"),
        (["audit", "no-such.whl"], 1, "no-such.whl"),
        (["matrix", "lint", "no-such.yaml"], 1, "no-such.yaml"),
        (["bild"], 2, "No such command"),
        (["build", "3.11-x86_64", "--keep"], 2, "containers: add --engine docker"),
        (["plan", "3.11-x86_64", "--keep"], 2, "No such option"),
        (["build", "3.11-x86_64", "--memory", "lots"], 2, "not a size; write one such as 8G"),
        (["plan", "v2.1.0-5.0.rc3/3.13/aarch64"], 1, "3.13 on aarch64 on line v2.1.0-5.0.rc3"),
    ],
)
def test_wrong_words_end_in_one_clear_message(words: list[str], code: int, said: str) -> None:
    done = wheelmill(*words)
    assert done.returncode == code
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_outside_a_checkout_the_matrix_is_asked_for(tmp_path: Path) -> None:
    lonely = tmp_path / "compat.yaml"
    lonely.write_bytes((ROOT / "matrix" / "compat.yaml").read_bytes())
    picked = wheelmill("--matrix", str(lonely), "pick", "--python", "3.11", cwd=tmp_path)
    assert picked.returncode == 0
    built = wheelmill("--matrix", str(lonely), "build", "3.11-x86_64", cwd=tmp_path)
    assert built.returncode == 1
    assert "not part of a checkout" in built.stderr


def test_json_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    planned = wheelmill("plan", "3.11-x86_64", "--json", WHEELMILL_HOME=str(tmp_path))
    assert json.loads(planned.stdout)["counts"]["wanted"] == 1
    assert planned.stderr == ""
    report = json.loads(wheelmill("matrix", "lint", "--json").stdout)
    assert report["errors"] == 0
    answer = json.loads(
        wheelmill("pick", "--cann", "7.0.RC1", "--python", "3.8", "--arch", "aarch64", "--json").stdout
    )
    assert "2.1.0rc1" in json.dumps(answer)


def test_nothing_fits_is_exit_code_1_with_the_blocking_axis() -> None:
    done = wheelmill("pick", "--cann", "7.0.RC1", "--python", "3.12", "--arch", "aarch64")
    assert done.returncode == 1
    assert "Blocking: Python 3.12 with CANN 7.0.RC1" in done.stdout


def test_a_closed_pipe_is_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m wheelmill matrix lint | head -n 1",
        shell=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "release"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["pick --cann 8.5.0", "matrix lint --notes"])
def test_a_closed_pipe_is_no_refusal(words: str) -> None:
    """Exit code 1 of `pick` says that nothing fits; under `set -o pipefail` a script would believe it."""
    piped = f"( {sys.executable} -m wheelmill {words}; echo $? >&2 ) | true"
    codes = set()
    for _ in range(3):  # it may have ended before
        done = subprocess.run(
            ["sh", "-c", piped], cwd=ROOT, env={**os.environ, "PYTHONPATH": "release"}, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        codes.add(done.stderr)
    assert codes <= {"0\n", "141\n"}
    assert "141\n" in codes


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = wheelmill("completion", shell)
    assert "_WHEELMILL_COMPLETE" in done.stdout


def test_completion_knows_lines_and_cells() -> None:
    def completed(words: str) -> list[str]:
        count = str(len(words.split(" ")) - 1)
        done = wheelmill(_WHEELMILL_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert "v2.1.0-5.0.rc3" in completed("wheelmill build --line v2.1")
    assert "3.8-aarch64" in completed("wheelmill build 3.8-")
    assert {"--keep-going", "--keep"} <= set(completed("wheelmill build --keep"))
    assert "docker" in completed("wheelmill reproduce --engine d")


def test_asked_to_end_it_ends_as_on_ctrl_c(tmp_path: Path) -> None:
    """`wheelmill serve` waits for ever; SIGTERM must not be a silent death with children left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wheelmill", "serve", "--port", "0", "--index", str(_small_index(tmp_path))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "release"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "pip install --index-url http://127.0.0.1:" in process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; finished work is kept" in errors
    assert "Traceback" not in errors


def _small_index(folder: Path) -> Path:
    (folder / "simple").mkdir()
    (folder / "simple" / "index.html").write_text("<!DOCTYPE html>")
    return folder


def test_pick_answers_for_this_machine_and_says_so() -> None:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    done = wheelmill("pick", "--json")
    cell = json.loads(done.stdout)["cell"]
    assert (cell["python"], cell["arch"]) == (running, platform.machine())
    assert f"# For this machine: Python {running}, {platform.machine()}" in wheelmill("pick").stdout
    other = wheelmill("pick", "--cann", "6.0.1")  # with this Python there is none
    assert other.returncode == 0
    assert f"# This machine has Python {running}; no wheel for the rest fits that." in other.stdout
    free = wheelmill("pick", "--cann", "6.0.1", "--anywhere").stdout
    assert "This machine" not in free


def test_a_table_in_a_pipe_or_a_narrow_terminal_cuts_no_version() -> None:
    branches = [line["branch"] for line in json.loads(wheelmill("matrix", "lines", "--json").stdout)["lines"]]
    for columns in ("200", "80"):
        shown = wheelmill("matrix", "lines", COLUMNS=columns).stdout
        assert "…" not in shown
        assert [branch for branch in branches if f"{branch} " not in shown] == []


@pytest.mark.parametrize("group", [(), ("matrix",), ("catalogue",), ("notes",), ("release",)])
def test_a_group_s_help_cuts_no_summary(group: tuple[str, ...]) -> None:
    shown = wheelmill(*group, "--help", COLUMNS="80").stdout
    usage, *rest = shown.splitlines()
    assert "COMMAND [ARGS]..." in usage
    assert [line for line in rest if line.endswith("...") or len(line) > 80] == []


@pytest.mark.parametrize("words", [("pick",), ("matrix", "lint", "--notes"), ("matrix", "lines")])
def test_what_the_terminal_cannot_print_is_escaped(words: tuple[str, ...]) -> None:
    done = wheelmill(*words, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout.isascii()


def test_json_is_the_same_document_in_every_encoding() -> None:
    plain, ascii_only = (
        wheelmill("pick", "--json", PYTHONIOENCODING=encoding).stdout for encoding in ("utf-8", "ascii")
    )
    assert json.loads(plain) == json.loads(ascii_only)


@pytest.mark.parametrize(
    ("words", "redirect"),
    [
        ("matrix lines", ">&-"), ("matrix lines", ">/dev/full"), ("pick --json", ">/dev/full"),
        ("pick --anywhere", ">&- 2>&-"), ("--help", ">/dev/full"), ("pick --help", ">/dev/full 2>&1"),
        ("--version", ">&-"),
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_written_is_a_failure(words: str, redirect: str) -> None:
    """Closed or full: who reads the exit code knows that there is no result, and no traceback says it."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m wheelmill {words} {redirect}', sys.executable],
        env={**os.environ, "PYTHONPATH": str(ROOT / "release")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    if "2>" not in redirect:
        assert done.stderr.startswith("error: the output cannot be written: ")
        assert len(done.stderr.splitlines()) == 2


def test_no_word_of_others_moves_the_cursor(tmp_path: Path) -> None:
    name = "demo\x1b[31m-1.0-py3-none-any.whl"
    (tmp_path / name).write_bytes(b"")
    log = tmp_path / "error.txt"
    log.write_text(
        "ImportError: libhccl.so: cannot open\x1b]0;title\x07 shared object file: \u202eNo such file\n"
    )
    for words in (["audit", name], ["audit", name, "--json"], ["pick", "--cann", "\x1b[2J"],
                  ["\x1b[2J"], ["explain", str(log)], ["catalogue", "add", name]):  # fmt: skip
        done = wheelmill(*words, cwd=tmp_path)
        printed = done.stdout + done.stderr
        assert done.returncode in ((0,) if words[0] == "explain" else (1, 2))
        assert [one for one in printed if not one.isprintable() and one != "\n"] == [], words


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("pipe", ["pick"]), ("pipe", ["doctor"]), ("pipe", ["matrix", "lint"]), ("pipe", ["plan", "--all"]),
        ("/dev/zero", ["pick"]), ("/dev/zero", ["notes", "check"]), ("/dev/null", ["pick"]), (".", ["pick"]),
    ],
)  # fmt: skip
def test_a_matrix_that_is_no_file_is_refused_before_it_is_read(
    tmp_path: Path, path: str, words: list[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = wheelmill("--matrix", path, *words, cwd=tmp_path)
    said = done.stderr + done.stdout
    assert done.returncode == 1
    assert "[readable-file]" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", ".", "gone"])
def test_what_is_explained_is_a_file_or_standard_input(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = wheelmill("explain", path, cwd=tmp_path)
    assert done.returncode == 1
    assert f"error: {path} " in done.stderr


def test_a_version_file_of_cann_that_is_a_pipe_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "version.cfg")
    (tmp_path / "version.info").write_text("version=8.5.0\n")
    done = wheelmill("pick", "--json", ASCEND_HOME_PATH=str(tmp_path))
    assert json.loads(done.stdout)["met"]["cann"] == "8.5.0"
