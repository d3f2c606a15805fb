"""The site with the whole catalogue: how long it takes to write, how large its pages are, how fast they show.

The peer of showing is an empty page in the same browser, in the same run. Prints one line per figure.

Run: `python bench/bench_site.py`. Needs chromium.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

from wheelmill.pick.shelf import Shelf  # noqa: E402
from wheelmill.pick.site import Site, write  # noqa: E402
from wheelmill.project import find_project  # noqa: E402

TIMES = 9
SHOWN = (
    "() => { const [one] = performance.getEntriesByType('navigation'); return one.domContentLoadedEventEnd; }"
)
CHOOSE = """() => {
  const start = performance.now();
  history.replaceState(null, "", "#cann=8.5.0");
  dispatchEvent(new HashChangeEvent("hashchange"));
  return performance.now() - start;
}"""


def shown(page: Page, file: Path) -> float:
    """Milliseconds until a page is there and its script has run: the median of several."""
    found = []
    for _ in range(TIMES):
        page.goto(file.as_uri())
        found.append(float(page.evaluate(SHOWN)))
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    here = find_project(ROOT / "matrix" / "compat.yaml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        shelf = Shelf(here.matrix(), here.catalogue(), date(2026, 11, 28))
        files = write(Site(shelf, here.notes()), folder)
        print(
            f"written: {len(files)} files, {len(shelf.offers)} wheels, {time.perf_counter() - started:.2f} s"
        )
        largest = max(folder.rglob("*.html"), key=lambda path: path.stat().st_size)
        print(f"largest page: {largest.name}, {largest.stat().st_size / 1000:.0f} kB")
        empty = folder / "empty.html"
        empty.write_text("<!DOCTYPE html><title>empty</title>")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page()
            peer = shown(page, empty)
            for name in ("index", "table", "timeline", "explain", "verify"):
                ours = shown(page, folder / f"{name}.html")
                print(f"shown: {name}, {ours:.0f} ms; an empty page {peer:.0f} ms; ratio {ours / peer:.1f}")
            page.goto((folder / "index.html").as_uri())
            chosen = statistics.median(page.evaluate(CHOOSE) for _ in range(TIMES))
            print(f"chosen: an axis of the picker, {chosen:.0f} ms")
            browser.close()


if __name__ == "__main__":
    main()
