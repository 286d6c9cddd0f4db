"""Record in a real browser when each session time was drawn: `python -m ... ADDRESS SECONDS`.

This prints JSON: {"drawn": [[session time (s), wall time (ms)], ...], "heap_mb": [after a third, at
the end]}, or {"missing": the software that is missing}.
"""

import json
import shutil
import sys
from typing import Any

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
_NOTE = """
window.noted = [];
document.addEventListener("drawn", (event) => {
  const now = performance.timeOrigin + performance.now();
  if (event.detail !== null) window.noted.push([event.detail, now]);
});
"""


def main() -> None:
    """Open a page for some seconds, and print what was drawn at which time."""
    address, seconds = sys.argv[1], float(sys.argv[2])
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        print(json.dumps({"missing": "chromium and the Python package playwright"}))
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        tab = browser.new_page(viewport={"width": 1920, "height": 1080})
        tab.add_init_script(_NOTE)
        tab.goto(address)
        heap_mb = []
        for share in (1 / 3, 2 / 3):
            tab.wait_for_timeout(1000 * seconds * share)
            heap_mb.append(_heap_mb(tab))
        print(json.dumps({"drawn": tab.evaluate("window.noted"), "heap_mb": heap_mb}))
        browser.close()


def _heap_mb(tab: Any) -> float:
    tools = tab.context.new_cdp_session(tab)
    tools.send("HeapProfiler.collectGarbage")
    used: float = tools.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1e6


if __name__ == "__main__":
    main()
