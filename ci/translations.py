"""The Chinese message catalogues of docs/: what is missing, stale or obsolete; --update refreshes them.

python ci/translations.py [--update]

Sphinx extracts the messages of every page. A page in TRANSLATED fails the check while one of them has no
translation (missing) or one that was made for another sentence (stale, "fuzzy" in the catalogue). All other
pages are only counted. Catalogues have no dates, line numbers or wrapped lines: they change with a sentence.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
LANGUAGE = "zh_CN"
CATALOGUES = Path("docs", "locale", LANGUAGE, "LC_MESSAGES")

# Pages that promise a whole Chinese version.
TRANSLATED = (
    *("abi", "adapter", "build", "catalogue", "ci", "containers", "design", "distributed", "downstream"),
    *("glossary", "index", "indexes", "inference", "install", "matrix", "operators", "pick", "policy"),
    *("projects", "release", "scale", "security", "simulator", "train", "troubleshooting", "upload"),
    "verify",
)
# Made from the help texts and the operator tables, which are English.
GENERATED = ("api", "cli")

HEADER = f"""msgid ""
msgstr ""
"Language: {LANGUAGE}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


@dataclass(frozen=True)
class State:
    """What a page's catalogue lacks, as the English messages."""

    page: str
    total: int
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    obsolete: tuple[str, ...]

    @property
    def fails(self) -> bool:
        return self.page in TRANSLATED and bool(self.missing or self.stale)

    def __str__(self) -> str:
        counts = f"{len(self.missing)} missing, {len(self.stale)} stale, {len(self.obsolete)} obsolete"
        note = "" if self.page in TRANSLATED else " (English only)"
        return f"{self.page}: {counts} of {self.total}{note}"


def extract(root: Path) -> dict[str, Catalog]:
    """The messages of every page, as Sphinx's gettext builder finds them."""
    with tempfile.TemporaryDirectory() as folder:
        build = ("-m", "sphinx", "-q", "-W", "-b", "gettext", "-d", f"{folder}/doctrees", "docs", folder)
        subprocess.run([sys.executable, *build], cwd=root, check=True)
        templates = {}
        for path in sorted(Path(folder).glob("*.pot")):
            if path.stem not in GENERATED:
                with path.open("rb") as file:
                    templates[path.stem] = read_po(file)
        return templates


def merged(root: Path, page: str, template: Catalog) -> Catalog:
    """The page's catalogue for its English text of now; an edited sentence keeps its translation as fuzzy."""
    path = root / CATALOGUES / f"{page}.po"
    catalogue = Catalog(locale=LANGUAGE)
    if path.is_file():
        with path.open("rb") as file:
            catalogue = read_po(file, locale=LANGUAGE, abort_invalid=True)
    catalogue.update(template)
    return catalogue


def messages(catalogue: Catalog) -> list[Message]:
    """All but the header."""
    return [message for message in catalogue if message.id]


def state(page: str, catalogue: Catalog) -> State:
    """Count a merged catalogue."""
    now = messages(catalogue)
    return State(
        page=page,
        total=len(now),
        missing=tuple(message.id for message in now if not message.string),
        stale=tuple(message.id for message in now if message.string and message.fuzzy),
        obsolete=tuple(message.id for message in catalogue.obsolete.values()),
    )


def write(root: Path, page: str, catalogue: Catalog) -> None:
    """Write what follows from the messages alone."""
    path = root / CATALOGUES / f"{page}.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = BytesIO()
    write_po(text, catalogue, width=0, no_location=True, omit_header=True)
    path.write_bytes(HEADER.encode() + text.getvalue().rstrip() + b"\n")


def main(words: list[str], root: Path = ROOT) -> int:
    """Return 1 where a translated page lacks a message; with --update write the catalogues first."""
    catalogues = {page: merged(root, page, template) for page, template in extract(root).items()}
    if "--update" in words:
        for page, catalogue in catalogues.items():
            if page in TRANSLATED or (root / CATALOGUES / f"{page}.po").is_file():
                write(root, page, catalogue)
    states = [state(page, catalogue) for page, catalogue in catalogues.items()]
    print("Chinese pages:")
    for one in states:
        print(f"  {one}")
    return report([one for one in states if one.fails])


def report(failed: list[State]) -> int:
    """Name each sentence that a translated page lacks, and what to do."""
    for one in failed:
        for kind, sentences in (("missing", one.missing), ("stale", one.stale)):
            for sentence in sentences:
                print(f"{CATALOGUES / one.page}.po: {kind}: {sentence}", file=sys.stderr)
    if failed:
        print(
            "Run `python ci/translations.py --update`, translate what it names, and delete `#, fuzzy` there.",
            file=sys.stderr,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
