"""The page in a real browser: every flow clicked through, and by keyboard alone."""

import os
import re
import shutil
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from hyperadapters.experiments import load
from hyperadapters.serving.app import create_app
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.server import listening, server_of

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no chromium")

TEXT = "bad cruel <img src=x onerror=alert(1)> the"
SHOTS = os.environ.get("HYPERADAPTERS_SCREENSHOTS")
"""Folder for pictures of what the tests saw."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(quick_run, tmp_path_factory):
    """Start servers of copies of the run; gives address and folder."""
    started = []

    def start(**settings):
        folder = shutil.copytree(quick_run, tmp_path_factory.mktemp("page") / "<i>run")
        listener = listening("127.0.0.1", 0)
        server = server_of(create_app(folder, **settings), Limits())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        started.append((server, thread, listener))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/", folder

    yield start
    for server, thread, listener in started:
        server.should_exit = True
        thread.join(30)
        listener.close()


@pytest.fixture(scope="module")
def address(served):
    return served()[0]


class Watched:
    """A page, and what must not happen on it."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.words, self.requests, self.dialogs = [], [], []
        page.on("console", lambda message: self.words.append(message.text))
        page.on("pageerror", lambda error: self.words.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def check(self):
        # The browser notes every refusal; what it says is on the page.
        words = [word for word in self.words if "the server responded with a status" not in word]
        assert words == [] and self.dialogs == []
        away = [
            url for url in self.requests if not url.startswith((self.address, "blob:", "data:"))
        ]
        assert away == []


@pytest.fixture
def opened(browser, request):
    """Open a page; at the end nothing may have gone wrong or away."""
    watched, contexts = [], []

    def open_page(address, *, width=1200, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        watched.append(Watched(page, address))
        page.goto(address)
        page.wait_for_selector("#about:not(:empty)")
        return page

    yield open_page
    for seen in watched:
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            seen.page.screenshot(path=f"{SHOTS}/{request.node.name}.png", full_page=True)
    for context in contexts:
        context.close()
    for seen in watched:
        seen.check()


def faults_of(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]][:3])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def test_everyone(opened, address):
    page = opened(address)
    assert "<i>run" in page.inner_text("#about")
    assert "not that person's opinion" in page.inner_text("header")
    assert page.is_hidden("#simulated")
    page.fill("#text", TEXT)
    page.click("#ask-button")
    page.wait_for_selector("#everyone table")
    assert "12 people are expected to say" in page.inner_text("#everyone .says")
    assert page.locator("#everyone .map .point").count() == 12
    rows = page.locator("#everyone tbody tr")
    assert rows.count() == 12 and rows.first.locator("th").inner_text() == "u0"
    page.get_by_role("button", name="How sure").click()
    sure = [cell.inner_text() for cell in page.locator("tbody td:nth-child(3)").all()]
    assert sure == sorted(sure, key=lambda cell: -int(cell.split()[0]))
    page.get_by_role("searchbox").fill("v3")
    assert rows.count() == 1
    page.get_by_role("searchbox").fill("")
    page.locator(".map .point").nth(2).click()
    assert page.locator("tr.chosen").count() == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the LoRA of u0").click()
    assert download.value.suggested_filename == "u0-lora.zip"


def test_a_jury(opened, address):
    page = opened(address)
    page.fill("#text", TEXT)
    page.click("#tab-jury")
    page.select_option("#jury-people", ["u0", "v0", "v1"])
    page.get_by_role("button", name="Ask the jury").click()
    verdict = page.locator("#verdict")
    assert "jury of 3 people" in verdict.inner_text()
    assert "Dissent" in page.inner_text("#jury-result") and page.locator(".range").count() == 2
    before = page.inner_text("#jury-result .bars")
    weight = page.get_by_label("Weight of u0")
    weight.fill("50")
    weight.press("Tab")
    until = time.monotonic() + 10
    while page.inner_text("#jury-result .bars") == before:
        assert time.monotonic() < until
    page.select_option("#jury-people", [])
    page.fill("#jury-size", "5")
    page.get_by_role("button", name="Draw others").click()
    page.get_by_text("jury of 5 people").wait_for()
    assert page.locator("#jury-result tbody tr").count() == 5
    page.fill("#jury-size", "12")
    page.select_option("#jury-people", ["u0"])
    page.get_by_role("button", name="Ask the jury").click()
    page.get_by_text("12 are to be drawn from 1 people").wait_for()


def test_two_wordings(opened, address):
    page = opened(address)
    page.fill("#text", TEXT)
    page.click("#tab-compare")
    page.fill("#other", "good kind nice the")
    page.get_by_role("button", name="Compare").click()
    assert "of 12 people are expected to say something else" in page.inner_text("#changed")
    assert page.locator("#compare tbody tr").count() == 12


def test_somebody_new_is_learned_saved_and_taken_along(opened, served):
    address, folder = served()
    page = opened(address)
    page.click("#tab-newcomer")
    page.fill("#text", TEXT)
    page.get_by_role("button", name="I say fine").click()
    page.locator("#newcomer").get_by_text("After 1 label you are").wait_for()
    page.fill("#text", "nasty cold bad one")
    page.get_by_role("button", name="I say fine").click()
    page.locator("#newcomer").get_by_text("After 2 labels you are").wait_for()
    assert page.locator(".map .you").count() == 1
    assert page.locator("#newcomer .range").count() == 4
    page.get_by_role("button", name="Save this person").click()
    page.get_by_text("Give this person a name").wait_for()
    assert load(folder).adapted == []
    page.fill("#newcomer-name", "<b>zoe</b>")
    page.get_by_role("button", name="Save this person").click()
    page.locator("#newcomer").get_by_text("learned from 2 labels").wait_for()
    assert load(folder).adapted == ["<b>zoe</b>"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the LoRA").click()
    assert download.value.suggested_filename.endswith("-lora.zip")
    page.get_by_role("button", name="Take back").first.click()
    page.locator("#newcomer").get_by_text("After 1 label you are").wait_for()
    page.click("#ask-button")  # and among everyone it is said how well zoe is known
    page.locator("#everyone").get_by_text("In brackets 90 % intervals").wait_for()
    sure = page.locator("#everyone tbody tr", has_text="<b>zoe</b>").locator("td.number").first
    assert re.fullmatch(r"\d+ % \(\d+ % to \d+ %\)", sure.inner_text())


def test_a_table(opened, address, tmp_path):
    page = opened(address)
    page.click("#tab-table")
    page.get_by_role("button", name="Answer the table").click()
    page.get_by_text("Choose a CSV file first").wait_for()
    file = tmp_path / "mine.csv"
    pd.DataFrame({"comment": ["good", "bad <b>one</b>"]}).to_csv(file, index=False)
    page.set_input_files("#table-file", file)
    page.get_by_role("button", name="Answer the table").click()
    page.get_by_text("no column 'text'; it has: comment").wait_for()
    page.fill("#table-column", "comment")
    page.select_option("#table-per", "person")
    page.get_by_role("button", name="Answer the table").click()
    page.wait_for_selector("#table-download")
    with page.expect_download() as download:
        page.click("#table-download")
    assert download.value.suggested_filename == "mine-answered.csv"
    assert len(pd.read_csv(download.value.path())) == 24


def test_keys_alone(opened, address):
    page = opened(address)
    press = page.keyboard.press
    for _ in range(2):
        press("Tab")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("bad cruel the")
    press("Control+Enter")
    page.wait_for_selector("#everyone table")
    for _ in range(2):
        press("Tab")
    assert page.evaluate("document.activeElement.id") == "tab-everyone"
    press("ArrowRight")
    assert page.is_visible("#jury") and page.evaluate("document.activeElement.id") == "tab-jury"
    for _ in range(2):
        press("Tab")
    press("ArrowDown")  # chooses in the list of people
    while "Ask the jury" not in page.evaluate("document.activeElement.innerText || ''"):
        press("Tab")
    press("Enter")
    page.get_by_text("The jury of 1 person").wait_for()
    assert "Ask the jury" in page.evaluate("document.activeElement.innerText")


def test_a_key_is_asked_for(browser, served):
    address, _ = served(key="open sesame")
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("An API key is wanted").wait_for()
    for key in ("close", "open sesame"):
        page.fill("#key", key)
        page.get_by_role("button", name="Use it").click()
        page.get_by_text(
            "API key is another" if key == "close" else "12 people, who say"
        ).wait_for()
    assert page.is_hidden("#key-form") and page.is_hidden("#fault")
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_what_everybody_can_use(opened, address, width, scheme):
    page = opened(address, width=width, scheme=scheme)
    page.fill("#text", TEXT)
    page.click("#ask-button")
    page.wait_for_selector("#everyone table")
    assert faults_of(page) == []
    page.click("#tab-jury")
    page.get_by_role("button", name="Ask the jury").click()
    page.wait_for_selector("#verdict")
    assert faults_of(page) == []
    page.click("#tab-newcomer")
    page.get_by_role("button", name="I say fine").click()
    page.wait_for_selector("#newcomer .bars")
    assert faults_of(page) == []
    page.click("#tab-compare")
    page.fill("#other", "good")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#changed")
    page.click("#tab-table")
    assert faults_of(page) == []
    for tab in page.locator("[role=tab]").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
