"""The table of contents of this project: `nox -l` lists it, `nox -s NAME` runs one entry.

| to do | run |
| --- | --- |
| see the whole path once, on any machine | `nox -s quickstart` |
| build, audit and run one wheel | `nox -s build-3.11-x86_64` |
| the same on another line | `nox -s build-3.11-x86_64 -- --line BRANCH` (or `--torch VERSION`) |
| build every wheel of a release line | `nox -t v2.1.0-5.0.rc3` |
| the same in containers, whatever fails | `nox -t v2.1.0-5.0.rc3 -- --engine docker --keep-going` |
| release a line | `nox -s release -- v2.1.0-5.0.rc3` |
| make a wheel again and compare | `nox -s reproduce -- WHEEL` |
| check the project | `nox` (lint, matrix, docs, tests, adapter) |
| write the site for users | `nox -s site` |
| the README's commands in a bare Debian root | `nox -s stranger` |
| what is too long for every change | `nox -s weekly` |

Tags select too: `nox -t aarch64`, `nox -t py3.8`. Sessions only pass arguments on to `wheelmill`; which
sessions exist is read from the matrix (wheelmill.make.sessions), so no version is written here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "release"))

from wheelmill.errors import WheelmillError
from wheelmill.make.sessions import NoxSession, nox_sessions

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "matrix", "docs", "tests", "adapter"]
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = False


def wheelmill(session: nox.Session, *words: str) -> None:
    """Run this checkout's own command line with the interpreter that runs nox."""
    session.run(sys.executable, "-m", "wheelmill", *words, env={"PYTHONPATH": "release"}, external=True)


def define(entry: NoxSession) -> None:
    """Register one session of the matrix under its literal name."""

    @nox.session(name=entry.name, python=False, default=False, tags=list(entry.tags))
    def run(session: nox.Session) -> None:
        wheelmill(session, *entry.words, *session.posargs)

    run.__doc__ = entry.title


@nox.session(python=False, default=False)
def quickstart(session: nox.Session) -> None:
    """Matrix row -> wheel -> audit -> index -> install -> mm on the simulated NPU."""
    wheelmill(session, "quickstart", *session.posargs)


try:
    entries = nox_sessions()
except WheelmillError as error:  # a matrix that cannot be read: without it there are no sessions
    sys.exit(f"error: {error}")
for entry in entries:
    define(entry)


@nox.session(python=False, default=False)
def audit(session: nox.Session) -> None:
    """Audit wheels: `nox -s audit -- WHEEL...`, or all that the store holds."""
    wheelmill(session, "audit", *session.posargs)


@nox.session(python=False, default=False)
def reproduce(session: nox.Session) -> None:
    """Build a wheel again from its own recipe and compare: `nox -s reproduce -- WHEEL`."""
    wheelmill(session, "reproduce", *session.posargs)


@nox.session(python=False, default=False)
def release(session: nox.Session) -> None:
    """Release a line, from the checks to the announcement: `nox -s release -- BRANCH`.

    Before it, the README's commands in a bare Debian root, unless they have passed within a week.
    """
    if session.posargs and not {"--dry-run", "-h", "--help"}.intersection(session.posargs):
        session.run(sys.executable, "ci/weekly.py", "--due", "7", "stranger", external=True)
    wheelmill(session, "release", "run", *session.posargs)


@nox.session(python=False, default=False)
def smoke(session: nox.Session) -> None:
    """Install a built cell from the local index and run it: `nox -s smoke -- 3.11-x86_64`."""
    wheelmill(session, "smoke", *session.posargs)


@nox.session(python=False, default=False)
def accept(session: nox.Session) -> None:
    """Test any torch_npu wheel on the simulator: `nox -s accept -- torch-npu==2.13.0 --into npu`."""
    wheelmill(session, "accept", *session.posargs)


@nox.session(python=False)
def matrix(session: nox.Session) -> None:
    """Check the matrix by rule, that its JSON schema is fresh, and the release notes."""
    wheelmill(session, "matrix", "lint", *session.posargs)
    wheelmill(session, "matrix", "schema", "--check")
    wheelmill(session, "notes", "check")


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Ruff, mypy --strict, the order of the rooms (import-linter), clang-format and the names of C++."""
    session.run(sys.executable, "-m", "ruff", "check", external=True)
    session.run(sys.executable, "-m", "ruff", "format", "--check", external=True)
    session.run(sys.executable, "-m", "mypy", external=True)
    session.run(
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        external=True,
        env={"PYTHONPATH": "release"},
    )
    session.run(sys.executable, "ci/clang_format.py", *session.posargs, external=True)
    session.run(sys.executable, "ci/clang_tidy.py", external=True)


@nox.session(python=False)
def docs(session: nox.Session) -> None:
    """Build docs/ in English and Chinese, warnings as errors; what is made from data is fresh."""
    session.run(sys.executable, "ci/cli_reference.py", "--check", external=True)
    session.run(sys.executable, "ci/api_list.py", "--check", external=True)
    session.run(sys.executable, "ci/translations.py", external=True)
    wheelmill(session, "readme-tables", "--check")
    build = (sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html")
    session.run(*build, "docs", ".wheelmill/docs", *session.posargs, external=True)
    chinese = ("-D", "language=zh_CN", "docs", ".wheelmill/docs/zh")
    session.run(*build, *chinese, *session.posargs, external=True)


@nox.session(python=False, default=False)
def site(session: nox.Session) -> None:
    """Write the static site for users: `nox -s site -- --out FOLDER`; open .wheelmill/site/index.html."""
    wheelmill(session, "site", *session.posargs)


@nox.session(python=False, default=False)
def screenshots(session: nox.Session) -> None:
    """Pictures of the site's pages at three widths, light and dark, in .wheelmill/screenshots, to look at."""
    session.run(sys.executable, "ci/screenshots.py", *session.posargs, external=True)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """The platform's tests: real compilers, pip, uv and HTTP."""
    # All of them: in as many processes as there are cores. Chosen ones: in one, which starts sooner.
    workers = (
        "-p",
        "by_file",
        "--numprocesses=auto",
        "--maxprocesses=4",
        "--max-worker-restart=0",
        "--no-loadscope-reorder",
    )
    words = ("-m", "pytest", "-p", "no_skips", *(session.posargs or workers))
    session.run(sys.executable, *words, env={"PYTHONPATH": "ci"}, external=True)


@nox.session(python=False)
def adapter(session: nox.Session) -> None:
    """The adapter's and the simulator's tests, C++ and Python, on freshly built wheels."""
    wheelmill(session, "test-adapter", *session.posargs)


@nox.session(python=False, default=False)
def newtorch(session: nox.Session) -> None:
    """Take a torch that was just released to the build that there is: `nox -s newtorch -- 2.14.1`."""
    wheelmill(session, "newtorch", *session.posargs)


@nox.session(python=False, default=False)
def stranger(session: nox.Session) -> None:
    """The README's two commands in a bare Debian root (as root; before every release)."""
    session.run(sys.executable, "ci/stranger.py", *session.posargs, external=True)


@nox.session(python=False, default=False)
def bench(session: nox.Session) -> None:
    """Measure against peers in one run and write bench/RESULTS.md."""
    session.run(sys.executable, "bench/run.py", *session.posargs, external=True)


@nox.session(python=False, default=False)
def fuzz(session: nox.Session) -> None:
    """Damaged input for every reader: `nox -s fuzz -- --minutes 5`; finds go to tests/corpus."""
    words = ("-m", "tests.fuzz", *session.posargs)
    session.run(sys.executable, *words, env={"PYTHONPATH": "release:."}, external=True)


@nox.session(python=False, default=False)
def weekly(session: nox.Session) -> None:
    """What is too long for every change, with one report: `nox -s weekly -- [PART...]`."""
    session.run(sys.executable, "ci/weekly.py", *session.posargs, external=True)
