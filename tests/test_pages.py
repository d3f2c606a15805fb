"""What the pages promise and a change elsewhere can break."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from wheelmill.cli import COMMANDS
from wheelmill.prove.smoke import EXAMPLE

ROOT = Path(__file__).parents[1]
PAGES = (
    *("README.md", "README.zh.md", "CONTRIBUTING.md"),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("[a-z]*/README.md"))),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/*.md"))),
)


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


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    dead = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_the_readme_is_short_and_begins_with_a_command() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 90
    assert lines.index("```bash") < 15


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(
        re.findall(r"wheelmill ([a-z][a-z-]+)", "\n".join(blocks(page) + re.findall(r"`([^`\n]+)`", text)))
    )
    assert named <= set(COMMANDS)


def test_the_example_is_the_one_that_smoke_runs() -> None:
    assert EXAMPLE in blocks("adapter/README.md")


def test_every_row_of_the_threat_table_names_a_test_that_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    named = [re.fullmatch(r"\| .* \| `(tests/[\w/]+\.py)::(\w+)` \|", row) for row in rows]
    assert rows
    assert [row for row, found in zip(rows, named, strict=True) if found is None] == []
    missing = [
        found[0]
        for found in named
        if found and f"def {found[2]}(" not in (ROOT / found[1]).read_text(encoding="utf-8")
    ]
    assert missing == []
