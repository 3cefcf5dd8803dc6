"""The report in a real browser: no word on the console, nothing from elsewhere, usable by all."""

import shutil
from pathlib import Path

import pytest

from hyperadapters.reports.build import report

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no chromium")


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_the_page(runs, ratings, tmp_path, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    file = report(runs, tmp_path / "report.html", ratings=ratings)
    words, requests = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: words.append(message.text))
        page.on("pageerror", lambda error: words.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        found = Axe().run(page).response["violations"]
        wide = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    faults = [
        (fault["id"], [node["html"][:150] for node in fault["nodes"]][:3])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert words == [] and faults == [] and wide <= width
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
