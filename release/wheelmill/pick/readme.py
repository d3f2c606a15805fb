"""The table of versions in the READMEs, between markers: it follows from matrix and catalogue, on any day."""

from __future__ import annotations

from collections.abc import Mapping

from wheelmill.errors import WheelmillError
from wheelmill.matrix.versions import python_key, version
from wheelmill.pick.model import Lang, Offer
from wheelmill.pick.shelf import Shelf

BEGIN, END = "<!-- versions -->", "<!-- /versions -->"
ROWS = 3  # torch versions, the newest
READMES: Mapping[str, Lang] = {"README.md": "en", "README.zh.md": "zh"}
_HEADS: Mapping[Lang, str] = {
    "en": "| torch_npu | PyTorch | CANN | Python | architecture |",
    "zh": "| torch_npu | PyTorch | CANN | Python | 架构 |",
}


def table(shelf: Shelf, lang: Lang) -> str:
    """The newest published version for each of the newest torches, as a Markdown table."""
    newest: dict[str, list[Offer]] = {}
    for offer in shelf.offers:
        if offer.how != "index" or offer.cann is None or version(offer.adapter).is_prerelease:
            continue
        known = newest.setdefault(offer.torch, [])
        if known and version(known[0].adapter) < version(offer.adapter):
            known.clear()
        if not known or known[0].adapter == offer.adapter:
            known.append(offer)
    lines = [_HEADS[lang], "| --- | --- | --- | --- | --- |"]
    for torch in sorted(newest, key=version, reverse=True)[:ROWS]:
        offers = newest[torch]
        pythons = sorted({one.python for one in offers}, key=python_key)
        arches = " ".join(sorted({one.arch for one in offers}))
        lines.append(
            f"| {offers[0].adapter} | {torch} | {offers[0].cann} | {', '.join(pythons)} | {arches} |"
        )
    return "\n".join(lines) + "\n"


def replaced(text: str, table: str, name: str) -> str:
    """A README with the table between its markers; raises WheelmillError where they are missing."""
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise WheelmillError(
            f"{name} has no {BEGIN} and {END}.", hint="Put both where the table of versions is to stand."
        )
    return f"{before}{begin}{table}{end}{after}"
