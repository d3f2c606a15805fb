"""Pictures of the site, to be looked at: `python ci/screenshots.py [SITE] [OUT]`.

SITE is what `wheelmill site` wrote, by default .wheelmill/site. Each page is shot at 1440, 768 and 390 px,
light and dark. Needs chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS = ((1440, 900), (768, 1024), (390, 844))
PAGES = (
    "index.html#cann=8.5.0&python=3.11",
    "zh/index.html",
    "zh/index.html#cann=7.0.RC1&python=3.11",
    "table.html",
    "timeline.html",
    "notes.html",
    "explain.html",
    "zh/sources.html",
    "verify.html",
    "api.html",
    "version/2.9.0.html",
)


def _has_chinese() -> bool:
    """Whether a font here has Chinese; without fontconfig to ask, it is believed."""
    if shutil.which("fc-list") is None:
        return True
    found = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=False)
    return bool(found.stdout.strip())


def main(words: list[str]) -> int:
    """Shoot every page; the exit code is 1 without a site or a browser."""
    site = Path(words[0] if words else ".wheelmill/site").absolute()
    out = Path(words[1] if len(words) > 1 else ".wheelmill/screenshots")
    program = shutil.which("chromium")
    missing = "" if (site / "index.html").is_file() else f"{site}: nox -s site"
    if program is None:
        missing = "chromium: as root, bash ci/machine.sh"
    elif not _has_chinese():
        missing = "a font with Chinese, such as apt-get install fonts-wqy-zenhei: pages would show boxes"
    if program is None or missing:
        print(f"needs {missing}", file=sys.stderr)
        return 1
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width, height in WIDTHS:
                size = {"width": width, "height": height}
                context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
                page = context.new_page()
                for name in PAGES:
                    page.goto(f"file://{site}/{name}")
                    page_name, _, choice = name.partition(".html")
                    file = page_name.replace("/", "-") + ("-chosen" if choice else "")
                    page.screenshot(path=out / f"{file}-{width}-{scheme}.png")
                context.close()
        browser.close()
    print(f"{len(list(out.glob('*.png')))} pictures in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
