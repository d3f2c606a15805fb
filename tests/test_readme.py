"""The README's promises that a change elsewhere can break."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from wheelmill.cli import COMMANDS
from wheelmill.prove.smoke import EXAMPLE

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "README.zh.md", "adapter/README.md", "CONTRIBUTING.md", "docs/design.md")


def blocks(page: str) -> list[str]:
    return re.findall(
        r"```(?:bash|console|python)\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )


def without_comments(block: str) -> str:
    return re.sub(r"\s+#.*", "", block)


def test_english_and_chinese_give_the_same_commands() -> None:
    english, chinese = (list(map(without_comments, blocks(page))) for page in PAGES[:2])
    assert english == chinese


def test_english_and_chinese_have_the_same_sections_and_tables() -> None:
    shapes = []
    for page in PAGES[:2]:
        text = (ROOT / page).read_text(encoding="utf-8")
        shapes.append(
            [line.split(" ")[0] for line in text.splitlines() if line.startswith(("#", "| ", "- "))]
        )
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [link for link in targets if not ((ROOT / page).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(
        re.findall(r"wheelmill ([a-z][a-z-]+)", "\n".join(blocks(page) + re.findall(r"`([^`\n]+)`", text)))
    )
    assert named <= set(COMMANDS)


def test_the_example_is_the_one_that_smoke_runs() -> None:
    assert EXAMPLE in blocks("adapter/README.md")
