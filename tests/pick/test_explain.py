"""`wheelmill explain`: every known failure by the words that programs really print, and what is not known."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wheelmill.console import shell_line
from wheelmill.cxx_names import qualified, readable
from wheelmill.pick.failures import Explanation, SymbolTable, explain, failures, load_symbols, render, to_json
from wheelmill.pick.failures.decode import decoded
from wheelmill.pick.failures.model import IMPORTS, LOAD, fill
from wheelmill.pick.failures.symbols import recorded
from wheelmill.pick.failures.toolkit import own_commands

from tests.pick.asking import MATRIX

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "failures"
FIXTURES = sorted(FOLDER.glob("*.txt"))
SYMBOLS = load_symbols(ROOT / "matrix" / "symbols.yaml")
DEFAULTS = {"cpu_index": "CPU-INDEX"}
TOOLKIT = own_commands(MATRIX, "8.5.0", "/cann/set_env.sh")


def explained(text: str) -> Explanation:
    return explain(text, failures(), SYMBOLS, DEFAULTS, TOOLKIT)


def ids(text: str) -> list[str]:
    return [match.failure.id for match in explained(text).matches]


# ------------------------------------------------------------------------------------------------------ rows
def test_every_failure_has_a_message_and_every_message_its_failure() -> None:
    assert {path.stem.partition("--")[0] for path in FIXTURES} == {one.id for one in failures()}
    assert len(failures()) >= 50
    assert len({one.id for one in failures()}) == len(failures())


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_message_is_explained(path: Path) -> None:
    """By its own row, in both languages, with every value filled in."""
    text = path.read_text(encoding="utf-8")
    found = explained(text)
    first = found.matches[0]
    assert first.failure.id == path.stem.partition("--")[0]
    for lang in ("en", "zh"):
        said = render(found, lang)
        assert first.words(first.failure.title, lang) in said
        assert not re.search(r"\{\w+\}", said), said
    assert text.splitlines()[first.line - 1].find(first.quote[:40]) >= 0


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_message_is_explained_in_the_log_of_a_service(path: Path) -> None:
    """Colors, Windows line ends, a prefix on each line and a long log around it change nothing."""
    lines = path.read_text(encoding="utf-8").splitlines()
    prefixed = "\r\n".join(f"\x1b[31m2026-01-01 | {line}\x1b[0m" for line in lines)
    noise = "INFO step 17 loss 2.31\n" * 3000
    wrapped_by_uv = {
        "cpu-pin--uv",
        "cpu-pin-in-build",
        "numpy-2",
        "torch-pins-conflict",
    }  # one message, many lines
    body = "\n".join(lines) if path.stem in wrapped_by_uv else prefixed
    assert ids(noise + body + "\n" + noise)[0] == path.stem.partition("--")[0]


def test_every_text_is_there_in_both_languages() -> None:
    for failure in failures():
        for words in (failure.title, failure.cause, failure.cure):
            assert not re.search(r"[\u4e00-\u9fff]", words["en"]), failure.id
            assert re.search(r"[\u4e00-\u9fff]", words["zh"]), failure.id
            assert set(re.findall(r"\{\w+\}", words["en"])) >= set(re.findall(r"\{\w+\}", words["zh"])), (
                failure.id
            )


def test_patterns_are_the_same_in_python_and_javascript() -> None:
    """No construct that JavaScript lacks or reads otherwise; the browser test compares what they find."""
    other = re.compile(r"\(\?[P<aiLmsux#>(]|\\[AZzbBGKpP](?<!\\b)|[*+?}]\+|\[\^?\]|\\s|\\S(?<!\\S)|\$\Z")
    for failure in failures():
        assert not other.search(failure.pattern), failure.id
        assert failure.pattern.isascii(), failure.id


def test_no_pattern_can_take_forever() -> None:
    """A repeat within a repeat is what makes a pattern exponential."""
    if sys.version_info >= (3, 11):
        from re import _parser as parser  # type: ignore[attr-defined]
    else:
        import sre_parse as parser

    def unbounded(parsed: Any, inside: bool = False) -> bool:
        for kind, value in parsed:
            name = str(kind)
            if name in ("MAX_REPEAT", "MIN_REPEAT"):
                many = value[1] is parser.MAXREPEAT or value[1] > 50
                found = (many and inside) or unbounded(value[2], inside or many)
            elif name == "BRANCH":
                found = any(unbounded(one, inside) for one in value[1])
            else:
                deeper = {"SUBPATTERN": 3, "ASSERT": 1, "ASSERT_NOT": 1}
                found = name in deeper and unbounded(value[deeper[name]], inside)
            if found:
                return True
        return False

    assert unbounded(parser.parse("(a+)+b"))
    allowed = {"cann-python-path"}  # `(\.\w+)*`: each round begins with its dot
    assert {one.id for one in failures() if unbounded(parser.parse(one.pattern))} <= allowed


@pytest.mark.timeout(120)
def test_twenty_megabytes_end_in_time() -> None:
    """Whatever is repeated, an answer comes; a pattern that backtracks would take hours."""
    units = (
        "a",
        " ",
        "\n \t",
        "a 1 depends on torch==1 ",
        "undefined symbol: _ZN3c10 GLIBC_2. +cpu requirement torch-npu==\n",
        "Traceback (most recent call last)\nThe above exception was the direct cause\n",
        "No module named 'te" + ".a" * 300,
    )
    explained("".join(unit * (20_000_000 // len(units) // len(unit)) for unit in units))


@given(st.text(max_size=300), st.sampled_from(FIXTURES), st.text(max_size=300))
@settings(max_examples=50, deadline=None)
def test_no_text_breaks_it(before: str, path: Path, after: str) -> None:
    found = explained(f"{before}\n{path.read_text(encoding='utf-8')}\n{after}")
    assert found.matches
    json.dumps(to_json(found))
    render(found, "zh")


COLORED = (
    "\x1b[31m{}\x1b[0m", "\x1b[38:2::255:0:0m{}\x1b[m", "\x1b]0;a title\x07{}", "50%\r100%\r{}", "{}\r\r",
    "\x1b]8;;file:///x\x1b\\{}\x1b]8;;\x1b\\", "\x1b[2K\x1b[1G{}", "\x1b[?25l{}\x1b[?25h", "\x1b[3;1H{}",
    "\x1b(B{}\x1b7\x1b8\x1b=", "\x1bP1$r0m\x1b\\{}", "\x1b[>4;2m{}\x1b[4:3m", "\x1b[!p{}",
)  # fmt: skip


@pytest.mark.parametrize("colors", COLORED)
def test_what_a_terminal_does_with_a_line_changes_nothing(colors: str) -> None:
    """Also in the middle of the words, and where a console moves instead of printing spaces."""
    said = "RuntimeError: No NPUs are available"
    (match,) = explained(f"one\n{colors.format(said)}\n").matches
    assert (match.failure.id, match.quote, match.line) == ("no-npu", said, 2)
    inside = colors.replace("{}", "").replace("\r", "").replace("50%100%", "")
    if "H" not in inside:
        assert ids(said.replace("NPUs are", f"NPU{inside}s\x1b[Care")) == ["no-npu"]


def test_progress_that_is_overwritten_is_one_line() -> None:
    bar = "".join(f"{one}%\r" for one in range(100))
    text = f"{bar}\n{bar}Traceback (most recent call last)\r\n{bar}RuntimeError: No NPUs are available\r\r\n"
    (match,) = explained(text).matches
    assert (match.line, match.quote) == (3, "RuntimeError: No NPUs are available")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk"])
def test_a_log_of_any_shell_is_read(tmp_path: Path, encoding: str) -> None:
    text = "显存不足\r\nRuntimeError: No NPUs are available\r\n"
    (tmp_path / "log").write_bytes(text.encode(encoding))
    found = json.loads(wheelmill("explain", "--json", str(tmp_path / "log")).stdout)["matches"]
    assert [(one["id"], one["line"]) for one in found] == [("no-npu", 2)]
    with (tmp_path / "log").open("rb") as file:
        piped = json.loads(wheelmill("explain", "--json", stdin=file).stdout)["matches"]
    assert piped == found


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\xff\xfe", b"\0" * 999, b"a\0b\n" * 9, "错误".encode("utf-16")]
)
def test_bytes_of_any_kind_become_a_text(data: bytes) -> None:
    assert isinstance(decoded(data), str)


def test_who_misses_a_module_is_looked_at() -> None:
    """CANN is blamed where the last frame is its own, or its log says so; not where it only stands around."""
    lacking = "ModuleNotFoundError: No module named 'scipy'\n"
    mine, its = (
        '  File "/home/Ascend.old/a.py", line 3, in f\n',
        '  File "/opt/Ascend/latest/x/impl/a.py", line 3\n',
    )
    assert ids(lacking) == ids(mine + lacking) == ids(its + mine + lacking) == ["python-package-missing"]
    assert ids(its + lacking) == ids(mine + its + lacking) == ["undeclared-python-dependency"]
    assert ids(f"[ERROR] TEFUSION(24,python):2026 {lacking}") == ["undeclared-python-dependency"]
    assert ids(lacking.replace("scipy", "my_app.parts")) == ["python-module-missing"]


# ------------------------------------------------------------------------------------------------- which one
def test_the_innermost_cause_wins() -> None:
    """The message in which torch reports the failed autoload comes last and says nothing of the cause."""
    text = (Path(__file__).parent / "failures" / "cann-library-missing.txt").read_text(encoding="utf-8")
    assert ids(text) == ["cann-library-missing", "autoload-failed"]
    only = text[text.index("RuntimeError: Failed") :]
    assert ids(only) == ["autoload-failed"]


def test_the_last_traceback_comes_before_what_was_survived() -> None:
    survived = (FOLDER / "undeclared-python-dependency.txt").read_text(encoding="utf-8")
    died = 'Traceback (most recent call last):\n  File "a.py", line 1\nRuntimeError: No NPUs are available\n'
    assert ids(survived + died) == ["no-npu", "undeclared-python-dependency"]
    assert ids(survived) == ["undeclared-python-dependency"]


def test_a_warning_is_not_the_cause() -> None:
    fallback = "The operator 'aten::isin' is not currently supported on the NPU backend and will fall back\n"
    found = explained(fallback)
    assert found.cause is None
    assert to_json(found)["outcome"] == "unknown"
    assert (
        ids(fallback + "RuntimeError: NPU out of memory. Tried to allocate 2.00 GiB (NPU 0\n")[0]
        == "out-of-memory"
    )


def test_an_unknown_failure_says_what_to_send_where() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/x/site-packages/vllm_ascend/worker.py", line 3, in f\n'
        "KeyError: 'ffn'\nEE9999: Inner Error!\n"
    )
    found = explained(text)
    said = render(found, "en")
    assert found.matches == ()
    assert "KeyError: 'ffn'" in said
    assert "EE9999" in said
    assert "`wheelmill doctor --json`, to vllm-project/vllm-ascend" in said
    assert "vllm-project/vllm-ascend" in render(found, "zh")


# --------------------------------------------------------------------------------------------------- symbols
MISSED = "_ZNK3c1010TensorImpl20is_contiguous_customENS_12MemoryFormatE"
STRINGS = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"


def test_a_symbol_of_cann_is_bounded_by_its_row() -> None:
    found = SYMBOLS.look_up("MsprofSysCycleTime")
    assert (found.owner, found.package, found.since, found.until) == ("CANN", "CANN", None, "8.5")
    assert "CANN has it up to 8.5" in render(explained("x.so: undefined symbol: MsprofSysCycleTime"), "en")


def test_which_versions_have_a_symbol_is_told_by_ranges() -> None:
    every = {"x86_64": ["2.1.0", "2.2.0", "2.10.0", "2.11.0"], "aarch64": ["2.1.0", "2.2.0"]}
    having = {"x86_64": ["2.1.0", "2.2.0", "2.11.0"]}
    found = recorded(every, having, {"2.2.0": "2.2.0.post1", "2.1.0": "2.1.0"}.get)
    assert found is not None
    assert (found.first, found.last) == ("2.1.0", "2.11.0")
    assert found.ranges == {"x86_64": "2.1.0 to 2.2.0, 2.11.0", "aarch64": ""}
    assert (found.torch, found.adapter) == ("2.2.0", "2.2.0.post1")
    assert recorded({}, {}, lambda _: None) is None


def test_records_are_asked_only_about_torch() -> None:
    table = SymbolTable(records=lambda symbol: pytest.fail(f"asked about {symbol}"))
    for other in ("MsprofSysCycleTime", "PyUnicode_AsUTF8", "_ZN7c10_npu3acl20AclrtPeekAtLastErrorE1x"):
        assert table.look_up(other).recorded is None
    explain("a text without symbols", failures(), table, DEFAULTS)


@pytest.mark.parametrize(
    ("mangled", "name", "owner"),
    [
        ("_ZN7c10_npu3acl20AclrtPeekAtLastErrorE1x", "c10_npu::acl::AclrtPeekAtLastError", "torch_npu"),
        ("_ZN5torch10ValueErrorC1EPKcz", "torch::ValueError::ValueError", "torch"),
        ("_ZTVN3c105ErrorE", "c10::Error", "torch"),
        ("_ZN3Mki2DlC1ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEb", "Mki::Dl::Dl", "NNAL (ATB)"),
        ("MsprofSysCycleTime", "MsprofSysCycleTime", "CANN"),
        ("PyUnicode_AsUTF8", "PyUnicode_AsUTF8", "Python"),
        ("_Z1", "_Z1", None),
        ("_ZN99999x", "_ZN99999x", None),
    ],
)  # fmt: skip
def test_names_without_the_runtime_and_owners(mangled: str, name: str, owner: str | None) -> None:
    """The page has no C++ runtime: it shows the qualified name."""
    assert qualified(mangled) == name
    assert SymbolTable().look_up(mangled).owner == owner
    assert name.rpartition("::")[2] in readable(mangled)


def test_braces_that_are_no_value_stay() -> None:
    assert fill("docker ps --format '{{.ID}}' {x} {y}", {"x": "1"}) == "docker ps --format '{{.ID}}' 1 {y}"


# --------------------------------------------------------------------------------------------------- command
def wheelmill(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "release"),
        "LC_ALL": "C.UTF-8",
        **more.pop("env", {}),
    }
    command = [sys.executable, "-m", "wheelmill", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False, **more
    )


def test_a_file_and_standard_input_say_the_same(tmp_path: Path) -> None:
    text = "ImportError: libhccl.so: cannot open shared object file: No such file or directory"
    (tmp_path / "error.txt").write_text(text)
    one, two = wheelmill("explain", str(tmp_path / "error.txt")), wheelmill("explain", input=text)
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout
    assert "    source /usr/local/Ascend/cann/set_env.sh   # CANN 8.5.0 and newer\n" in one.stdout
    assert "    source /usr/local/Ascend/ascend-toolkit/set_env.sh   # before 8.5.0\n" in one.stdout


def test_the_toolkit_of_this_machine_is_named_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "set_env.sh").touch()
    text = "ImportError: libhccl.so: cannot open shared object file: No such file or directory"
    said = wheelmill("explain", input=text, env={"ASCEND_HOME_PATH": str(tmp_path)}).stdout
    assert [one.strip() for one in said.splitlines() if "    source " in one] == [
        f"source {tmp_path}/set_env.sh"
    ]


@pytest.mark.parametrize(
    ("value", "command", "least"), [("{set_env}", LOAD, 4), ("{cann_python}", IMPORTS, 2)]
)
def test_each_failure_that_names_the_toolkit_does_so_in_the_same_words(
    value: str, command: str, least: int
) -> None:
    """For which the machine's own place stands, or those of all versions; and the matrix's one list."""
    rows = [one for one in failures() if any(value in one for one in one.commands)]
    assert len(rows) >= least
    assert all(command in one.commands for one in rows)


def test_what_the_toolkits_packages_import_is_the_list_of_the_matrix() -> None:
    """Of the version that is there; modules that no list has are installed by their own name."""
    error = "File \"/usr/local/Ascend/cann/python/site-packages/tbe/x.py\", line 1\nNo module named '{}'"
    named = {"attr": "attrs", "yaml": "pyyaml", "google.protobuf": "protobuf", "absl": "absl-py"}
    for module in (*named, "cython", "decorator", "sympy", "numpy", "scipy", "psutil", "cffi"):
        cause = explained(error.format(module)).cause
        assert cause is not None
        (command,) = cause.commands
        assert f" {named.get(module, module)}" in command.replace("'", "")
        assert command == "pip install " + " ".join(map(shell_line, MATRIX.document.cann_python["8.5.0"]))
    cause = explained(error.format("ml_dtypes")).cause
    assert cause is not None
    assert cause.commands == ("pip install ml_dtypes",)


def test_the_language_is_the_users() -> None:
    text = "RuntimeError: No NPUs are available"
    assert wheelmill("explain", input=text, env={"LC_ALL": "zh_CN.UTF-8"}).stdout.startswith(
        "torch_npu 没有发现 NPU"
    )
    assert wheelmill("explain", "--lang", "en", input=text, env={"LC_ALL": "zh_CN.UTF-8"}).stdout.startswith(
        "torch_npu sees"
    )


def test_unknown_is_exit_code_1_and_json_has_both_languages() -> None:
    assert wheelmill("explain", input="all is well").returncode == 1
    done = wheelmill("explain", "--json", input="RuntimeError: No NPUs are available")
    data = json.loads(done.stdout)
    assert (data["outcome"], data["matches"][0]["id"]) == ("explained", "no-npu")
    assert set(data["matches"][0]["title"]) == {"en", "zh"}


def test_bytes_that_are_no_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe\x00\xb4\xed\n RuntimeError: No NPUs are available\n")
    assert wheelmill("explain", str(tmp_path / "log")).returncode == 0
    missing = wheelmill("explain", str(tmp_path / "absent"))
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: ")


def test_a_program_keeps_its_output_and_exit_code() -> None:
    code = (
        "import sys; print('out'); print('RuntimeError: No NPUs are available', file=sys.stderr); sys.exit(7)"
    )
    done = wheelmill("explain", "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "torch_npu sees no NPU" in done.stderr
    fine = wheelmill("explain", "--", sys.executable, "-c", "print('--json')")
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, "--json\n", "")


def test_a_program_that_a_signal_killed() -> None:
    done = wheelmill("explain", "--", "sh", "-c", "kill -SEGV $$")
    assert done.returncode == 128 + signal.SIGSEGV
    assert "killed by SIGSEGV" in done.stderr


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    """With the exit codes of a shell, and what to do, in both languages."""
    files = {
        "plain": ("echo hi", 0o644),
        "bare": ("echo hi", 0o755),
        "lost": ("#!/no/such/interpreter", 0o755),
    }
    for name, (text, mode) in files.items():
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(mode)
    cases = [("no-such-program", 127, "No such file or directory", "It is not there, or the interpreter")]
    cases += [(str(tmp_path / "lost"), 127, "No such file or directory", "the interpreter in its first line")]
    cases += [(str(tmp_path / "plain"), 126, "Permission denied", "chmod +x")]
    cases += [(str(tmp_path / "bare"), 126, "Exec format error", "name what runs it")]
    cases += [(str(tmp_path), 126, "Permission denied", "It cannot be run by itself")]
    cases += [("", 127, "No such file or directory", "It is not there")]
    for program, code, why, hint in cases:
        done = wheelmill("explain", "--", program)
        assert (done.returncode, done.stdout) == (code, ""), program
        shown = program or "''"
        assert done.stderr.splitlines()[0] == f"error: {shown}: {why}."
        assert hint in done.stderr
    assert "不能直接运行" in wheelmill("explain", "--lang", "zh", "--", str(tmp_path)).stderr


def test_a_program_reads_standard_input_and_prints_megabytes() -> None:
    line = "RuntimeError: No NPUs are available\n"
    done = wheelmill("explain", "--", "sh", "-c", "cat; exit 3", input=line * 200_000)
    assert (done.returncode, done.stdout == line * 200_000) == (3, True)
    assert "torch_npu sees no NPU" in done.stderr
    calm = wheelmill("explain", "--", "sh", "-c", "cat >&2", input=line)
    assert (calm.returncode, calm.stdout, calm.stderr) == (0, "", line)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_what_a_program_leaves_running_does_not_hold_one_who_ends_the_wait(sign: signal.Signals) -> None:
    """A server in the background keeps the output open; its end may be days away."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    running = subprocess.Popen(
        [sys.executable, "-m", "wheelmill", "explain", "--", "sh", "-c", "sleep 60 & echo $!; exit 5"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    server = int(running.stdout.readline())
    time.sleep(0.5)
    assert running.poll() is None
    running.send_signal(sign)
    said = running.communicate(timeout=30)[1]
    os.kill(server, signal.SIGKILL)
    assert running.returncode == 5
    assert "Traceback" not in said
    assert "ended with exit code 5" in said


def test_ctrl_c_is_the_programs() -> None:
    code = ("import time\ntry:\n print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n "
            "print('RuntimeError: No NPUs are available'); raise SystemExit(11)")  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    running = subprocess.Popen(
        [sys.executable, "-m", "wheelmill", "explain", "--", sys.executable, "-c", code], cwd=ROOT,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "up\n"
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 11
    assert "torch_npu sees no NPU" in said
    assert "Traceback" not in said


def test_json_of_a_program_is_one_document() -> None:
    done = wheelmill(
        "explain", "--json", "--", "sh", "-c", "echo out; echo RuntimeError: No NPUs are available; exit 3"
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["matches"][0]["id"] == "no-npu"
    assert "out\n" in done.stderr


def test_a_terminal_stays_one_for_the_program() -> None:
    """Progress bars and colors depend on it."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "wheelmill", "explain", "--", sys.executable, "-c",
               "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=follower, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(follower)
    assert done.returncode == 0
    assert os.read(leader, 100).strip() == b"True False"
    os.close(leader)


def test_ending_it_ends_the_program() -> None:
    """SIGTERM goes to the program, which may clean up; its exit code is ours."""
    code = ("import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); "
            "print('up', flush=True); time.sleep(60)")  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    running = subprocess.Popen(
        [sys.executable, "-m", "wheelmill", "explain", "--", sys.executable, "-c", code],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "up\n"
    time.sleep(0.1)
    running.terminate()
    assert running.wait(timeout=30) == 9


def test_a_value_of_the_text_is_one_word_of_the_command() -> None:
    """What a log says is quoted where a command has it: a log is written by whoever wants to."""
    text = "ImportError: /tmp/a$(id).so: cannot enable executable stack as shared object requires: no"
    (command,) = [one for match in explained(text).matches for one in match.commands if "patchelf" in one]
    assert shlex.split(command) == ["patchelf", "--clear-execstack", "/tmp/a$(id).so"]
    assert "'/tmp/a$(id).so'" in command


@pytest.mark.parametrize(
    ("symbol", "told"),
    [
        (
            MISSED,
            ["Of torch 1.11.0 to 2.15.0, these have it: 1.11.0 to 2.8.0.", "wheelmill pick --torch 2.8.0"],
        ),
        (STRINGS, ["have it on aarch64: 2.6.0 to", "have it on x86_64: 2.7.0 to"]),
        ("_ZN2at15no_such_thing_Ev", ["Of torch 1.11.0 to 2.15.0, none has it."]),
    ],
)
def test_the_records_name_the_torches_that_have_a_symbol(symbol: str, told: list[str]) -> None:
    text = f"ImportError: /x/libtorch_npu.so: undefined symbol: {symbol}"
    ran = wheelmill("explain", input=text)
    assert ran.returncode == 0
    for words in told:
        assert words in " ".join(ran.stdout.split())
    (match,) = json.loads(wheelmill("explain", "--json", input=text).stdout)["matches"]
    found = match["symbol"]["recorded"]
    assert set(found["versions"]) == {"aarch64", "x86_64"}
    assert found["torch"] is None or found["torch"] in found["versions"]["aarch64"]


def test_a_damaged_record_does_not_take_the_explanation_away(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "matrix", tmp_path / "matrix")
    (tmp_path / "matrix/abi/torch-2.9.0-x86_64.json.xz").write_bytes(b"no archive")
    file = str(tmp_path / "matrix/compat.yaml")
    ran = wheelmill("--matrix", file, "explain", input=f"x.so: undefined symbol: {MISSED}")
    assert ran.returncode == 0
    assert "Built for another torch version" in ran.stdout
    assert "torch-2.9.0-x86_64.json.xz cannot be read" in ran.stderr


def test_a_program_keeps_its_bytes_whatever_encoding_they_are_in() -> None:
    """GBK here; a stream of text would have changed or refused it."""
    said = "显存不足 libhccl.so: cannot open shared object file\n".encode("gbk")
    command = [sys.executable, "-m", "wheelmill", "explain", "--", sys.executable, "-c"]
    program = f"import sys; sys.stdout.buffer.write({said!r}); sys.exit(3)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release"), "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(
        [*command, program], cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (3, said)
    assert b"CANN's libraries are not found (libhccl.so)" in ran.stderr


def test_an_explanation_in_a_lesser_encoding_is_escaped_and_whole() -> None:
    """Nothing is lost, and an answer that was found is not a failure."""
    text, words = "libhccl.so: cannot open shared object file", ("explain", "--lang", "zh")
    whole = wheelmill(*words, input=text)
    escaped = wheelmill(*words, input=text, env={"PYTHONIOENCODING": "ascii"})
    assert (whole.returncode, escaped.returncode) == (0, 0)
    assert escaped.stdout.isascii()
    assert escaped.stdout.encode().decode("unicode_escape") == whole.stdout


# ------------------------------------------------------------------------------- names that would never end
def doubling(levels: int) -> str:
    """A mangled name of some bytes a level, whose readable form doubles with each: of 30 it has 36 GB."""
    numbers = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    steps = "".join(f"S_IS{numbers[one]}_S{numbers[one]}_E" for one in range(levels))
    return f"_Z1f1AIiiE{steps}"


@pytest.mark.parametrize(
    "name",
    [
        doubling(30),
        f"_Z1fIJ{'i' * 3000}EEv1AIiiE{doubling(8)[10:]}Dp1BIT_{'S7_' * 900}E",  # a pack, and what it repeats
        f"_Z{'1' * 5000}f",  # more digits than Python makes a number of
        f"_Z1f{'P' * 400_000}i",
        "_Z1f\ud800",
    ],
)
def test_a_name_that_would_become_endless_is_not_asked_for(name: str) -> None:
    begun = time.process_time()
    assert len(readable(name)) <= max(len(name), 1 << 14)
    assert len(qualified(name)) <= len(name)
    message = f"ImportError: /x/libtorch_npu.so: undefined symbol: {name}"
    json.dumps(to_json(explained(message)))
    assert time.process_time() - begun < 5


def test_a_name_with_references_is_readable() -> None:
    """As long as they stay few: the lower levels of the same name, and what is long in torch."""
    assert readable(doubling(2)) == f"f(A<int, int>, {', '.join(_pair('A<int, int>', 2))})"


def _pair(inner: str, levels: int) -> list[str]:
    found = []
    for _ in range(levels):
        inner = f"A<{inner}, {inner} >" if inner.endswith(">") else f"A<{inner}, {inner}>"
        found.append(inner)
    return found


HANDLED = """WARNING: optional: No module named 'requests'
INFO step 1
Traceback (most recent call last):
  File "train.py", line 9, in <module>
    read(path)
ValueError: bad config
"""


def test_an_error_after_the_known_one_is_told_first() -> None:
    found = explained(HANDLED)
    assert found.cause is not None
    assert found.ends_otherwise
    assert to_json(found)["ends_otherwise"]
    assert (
        "another error, which is not known here: ValueError: bad config"
        in render(found, "en").splitlines()[0]
    )
    assert "可能已被处理" in render(found, "zh")


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\nModuleNotFoundError: No module named 'requests'\n",
        # The traceback is what became of the message before it.
        HANDLED.replace("ValueError: bad config", "RuntimeError: call aclnnAdd failed, error code is 561003"),
        "WARNING: No module named 'requests'\n",
    ],
)
def test_an_error_that_goes_with_the_known_one_is_not(text: str) -> None:
    found = explained(text)
    assert found.cause is not None
    assert not found.ends_otherwise
