"""The pictures of the README: the explorer and the report, of the demo's run.

    python benchmarks/pictures.py [--demo DIR] [--chromium PATH]

Makes the demo first where there is none, serves its run on a free port, and lets the system's
Chromium look at both. Writes docs/pictures/explorer.png and docs/pictures/report.png.
"""

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
TEXT = "Another genius who parks across two bays. Learn to drive or stay at home."
SIZE = {"width": 1200, "height": 900}
REPORT_HEIGHT = 1400


def explorer(page: Any, run: Path) -> None:
    """Ask everyone about a text, and take a picture."""
    from hyperadapters.serving.app import create_app
    from hyperadapters.serving.limits import Limits
    from hyperadapters.serving.server import listening, server_of

    listener = listening("127.0.0.1", 0)
    server = server_of(create_app(run, read_only=True), Limits())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        page.fill("#text", TEXT)
        page.click("#ask-button")
        page.wait_for_selector("#everyone table")
        page.get_by_role("button", name="How sure").click()
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURES / "explorer.png", full_page=True)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def report(page: Any, demo: Path) -> None:
    """Make the report of the demo, and take a picture of its beginning."""
    import hyperadapters as ha

    with tempfile.TemporaryDirectory() as folder:
        file = ha.report(demo, Path(folder) / "report.html")
        page.goto(Path(file).as_uri())
        whole = {"x": 0, "y": 0, "width": SIZE["width"], "height": REPORT_HEIGHT}
        page.screenshot(path=PICTURES / "report.png", clip=whole, full_page=True)


def main() -> None:
    """See the module."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("demo-run"))
    parser.add_argument("--chromium", default=shutil.which("chromium") or "/usr/bin/chromium")
    asked = parser.parse_args()
    if not asked.demo.exists():
        from hyperadapters.experiments.demo import run_demo

        run_demo(asked.demo)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as started:
        arguments = ["--no-sandbox", "--hide-scrollbars"]
        browser = started.chromium.launch(executable_path=asked.chromium, args=arguments)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        explorer(page, asked.demo / "hyperlora")
        report(page, asked.demo)
        browser.close()
    print(f"explorer.png and report.png in {PICTURES}")


if __name__ == "__main__":
    main()
