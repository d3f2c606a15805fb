"""The innermost cause of a program's end is found in what it said, however long the chain is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.progress import silent
from wheelmill.prove.smoke.causes import innermost_cause
from wheelmill.prove.smoke.steps import StepFailedError, Steps

DIRECT = """
def load():
    import not_there
def begin():
    try: load()
    except Exception as error: raise RuntimeError("Failed to load the backend extension") from error
"""
IN_PASSING = """
def begin():
    try: {}["key"]
    except Exception: 1 / 0
"""
AFTER_ANOTHER = """
import traceback
def begin():
    try: raise OSError("told, and survived")
    except OSError: traceback.print_exc()
    try: raise LookupError("the first")
    except Exception as error: raise ValueError("the second") from error
"""
ALONE = "def begin(): raise ValueError('of two\\n  lines')"


def said(source: str) -> str:
    """What a real Python says of the error that `begin` raises."""
    command = [sys.executable, "-c", source + "\nbegin()"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (DIRECT, "ModuleNotFoundError: No module named 'not_there'"),
        (IN_PASSING, "KeyError: 'key'"),
        (AFTER_ANOTHER, "LookupError: the first"),
        (ALONE, "ValueError: of two"),
        ("def begin(): pass", None),
    ],
)
def test_the_first_error_of_the_last_chain_is_the_cause(source: str, cause: str | None) -> None:
    assert innermost_cause(said(source)) == cause


def test_a_ranks_name_before_every_line_is_no_part_of_the_error() -> None:
    ranked = "".join(f"[rank1]: {line}\n" for line in said(DIRECT).splitlines() if line)
    assert innermost_cause("[rank0]: hello\n" + ranked) == "ModuleNotFoundError: No module named 'not_there'"


def test_a_failed_step_tells_a_cause_that_stands_far_above_the_end_of_its_output(tmp_path: Path) -> None:
    many = DIRECT + "\n".join(
        f"def outer{n}(): outer{n - 1}()" if n else "def outer0(): begin()" for n in range(30)
    )
    with pytest.raises(StepFailedError) as caught:
        Steps(tmp_path, silent).run("import", [sys.executable, "-c", many + "\nouter29()"], {}, 60)
    failure = caught.value.failure
    assert "not_there" not in "\n".join(failure.tail), "the case is about what the tail does not show"
    assert "innermost cause: ModuleNotFoundError: No module named 'not_there'" in failure.render()
    assert failure.to_json()["cause"] == "ModuleNotFoundError: No module named 'not_there'"
