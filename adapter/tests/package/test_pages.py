"""The programs of the pages print what the pages say, each page as one program."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from npu_testing import TORCH

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("install", "train", "inference", "operators")
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
END = "-- end of a block --"


@pytest.mark.skipif(TORCH < (2, 4), reason="the pages are about torch 2.4 and later")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_what_it_says(page, tmp_path):
    blocks = BLOCK.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))
    assert blocks
    (tmp_path / "page.py").write_text("".join(f"{code}\nprint({END!r})\n" for code, _ in blocks), "utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, check=False)
    said = done.stderr.decode()
    assert done.returncode == 0, said
    printed = done.stdout.decode().split(f"{END}\n")[:-1]
    assert printed == [shown for _, shown in blocks], said
    assert "has no kernel" not in said
