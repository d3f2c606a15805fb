"""Projects of others, built by their own backend or command with this machine's compilers."""

from __future__ import annotations

import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.describe import load
from wheelmill.make.packages import build, confine
from wheelmill.make.packages.compilers import OnHost
from wheelmill.make.packages.shop import Job, PackageError, Shop
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.prove.audit import judge
from wheelmill.publish.packages import plan
from wheelmill.store import Store

from tests.needs import need_headers

pytestmark = pytest.mark.slow

FILES = {
    "pyproject.toml": '[build-system]\nrequires = ["setuptools>=77"]\n'
    'build-backend = "setuptools.build_meta"\n'
    '[project]\nname = "one-demo"\nversion = "1.0"\nrequires-python = ">=3.10"\nlicense = "MIT"\n',
    "setup.py": "from setuptools import Extension, setup\n"
    "setup(ext_modules=[Extension('one_demo', ['one.c'])])\n",
    "one.c": """\
#include <Python.h>
static PyObject *one(PyObject *self, PyObject *none) { return PyLong_FromLong(1); }
static PyMethodDef methods[] = {{"one", one, METH_NOARGS, "One."}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "one_demo", 0, -1, methods};
PyMODINIT_FUNC PyInit_one_demo(void) { return PyModule_Create(&module); }
""",
}
WHEEL = "python -m pip wheel -q --no-deps --no-build-isolation -w dist ."


def shop(folder: Path, how: str, python: str) -> Shop:
    (folder / "src").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / "src" / name).write_text(text)
    file = folder / "wheelmill.toml"
    file.write_text(
        f'schema = 1\npackage = "one-demo"\nsource = "src"\n[build]\n{how}\n[[lines]]\nname = "main"\n'
        f'cells = {{python = ["{python}"], arch = ["{host_arch()}"]}}\n'
    )
    store = Store(folder / "store")
    return Shop(load(file, {}), store, OnHost(store.root / "ccache"))


def job(given: Shop) -> Job:
    (found,) = build.jobs(given.described.cells, given)
    assert isinstance(found, Job), found
    return found


def running() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def test_a_backend_builds_a_wheel_once(tmp_path: Path) -> None:
    need_headers()
    given = shop(tmp_path, 'how = "pep517"', running())
    made = build.ensure(job(given), given)
    tag = f"cp{running().replace('.', '')}"
    assert made.file == f"one_demo-1.0-{tag}-{tag}-linux_{host_arch()}.whl"
    assert not made.cached
    assert build.ensure(job(given), given).cached
    assert judge(made.path).ok
    with zipfile.ZipFile(made.path) as archive:
        (native,) = (name for name in archive.namelist() if name.endswith(".so"))
        assert str(tmp_path).encode() not in archive.read(native)
    (tmp_path / "src" / "one.c").write_text(FILES["one.c"].replace("(1)", "(2)"))
    assert not build.ensure(job(given), given).cached


def test_a_build_that_cells_share_is_the_same_whichever_are_asked_for(tmp_path: Path) -> None:
    given = shop(tmp_path, 'how = "pep517"\nshared = ["python"]', f'{running()}", "3.99')
    all_of_them, newer = job(given), given.described.cells[1:]
    (alone,) = build.jobs(newer, given)
    assert isinstance(alone, Job)
    assert (alone.key, alone.cell.python) == (all_of_them.key, running())
    assert [one.cell.python for one in plan(newer, given)] == ["3.99"]


def test_a_command_may_not_write_outside_its_folder(tmp_path: Path) -> None:
    need_headers()
    if not confine.available():
        pytest.skip("this kernel has no Landlock")
    outside = tmp_path / "escaped"
    given = shop(
        tmp_path, f'how = "command"\ncommand = ["sh", "-c", "{WHEEL} && echo x > {outside}"]', running()
    )
    with pytest.raises(PackageError) as refused:
        build.ensure(job(given), given)
    assert "failed (exit 2)" in refused.value.message
    assert "a build may write below its own folder only" in str(refused.value.hint)
    assert not outside.exists()


def test_a_command_that_leaves_no_wheel_is_told(tmp_path: Path) -> None:
    given = shop(tmp_path, 'how = "command"\ncommand = ["true"]', running())
    with pytest.raises(PackageError, match="left 0 wheels in dist, it is to leave one: none"):
        build.ensure(job(given), given)


def test_a_long_compilation_is_told_with_its_log_and_ends_in_what_the_compiler_said(tmp_path: Path) -> None:
    need_headers()
    said: list[str] = []
    given = replace(shop(tmp_path, 'how = "pep517"', running()), progress=said.append)
    source, setup = (tmp_path / "src" / name for name in ("one.c", "setup.py"))
    source.write_text(FILES["one.c"].replace("(1)", "(1 +)"))
    setup.write_text(f"import time\ntime.sleep(1.5)\n{FILES['setup.py']}")
    with pytest.raises(PackageError) as refused:
        build.ensure(job(given), given)
    log = next((given.store.root / "logs").iterdir())
    compiling = [text for text in said if text.startswith("compile")]
    assert compiling[0] == f"compile (log: {log})"
    assert re.fullmatch(r"compile \(log: .+\), [1-9]\d* s", compiling[1]), "and that it still runs"
    assert "one.c:2:" in refused.value.message
    assert f"full log: {log}" in str(refused.value.hint)
