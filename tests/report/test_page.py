"""The page in headless Chromium."""

import shutil
from html.parser import HTMLParser

import pytest

from clasp_bench.report.page import html
from clasp_bench.report.tables import world_tables
from tests.suite.records import a_record

NASTY = "<script>document.title='broken'</script> $x^2$ {{ 7 * 7 }} \"&'"
FIGURES = {
    "CLASP": (40.0, 41.0, 42.5),
    "MAE": (30.0, 31.0, 32.0),
    "random": (20.0, 22.0, 21.0),
    NASTY: (35.0, 36.0, 37.0),
}
RECORDS = [
    *(a_record(method, seed=seed, mAP=value) for method, row in FIGURES.items() for seed, value in enumerate(row)),
    *(a_record(method, task="attribute", mAP=row[0] + 30) for method, row in FIGURES.items() if method != "MAE"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(world_tables(RECORDS)))
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
        *("disable-component-update", "disable-sync", f"user-data-dir={tmp_path_factory.mktemp('profile')}"),
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture
def opened(browser, page):
    """The page at desktop width, freshly loaded; afterwards the console must be silent."""
    resize(browser, 1280)
    browser.get("about:blank")
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []


def resize(browser, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def column(browser, title, occurrence=0):
    """The cells below the metric of this title: (method, text) from top to bottom."""
    script = """
        const [title, occurrence] = arguments;
        const found = [...document.querySelectorAll("thead button")].filter(it => it.textContent === title)[occurrence];
        return [...document.querySelector("table.results").tBodies[0].rows].map(
            row => [row.cells[0].textContent, row.cells[found.dataset.column].textContent]);"""
    return [tuple(pair) for pair in browser.execute_script(script, title, occurrence)]


def click(browser, title, occurrence=0):
    from selenium.webdriver.common.by import By

    heads = [
        it
        for it in browser.find_elements(By.CSS_SELECTOR, "thead button")
        if it.text.split(" ▾")[0].split(" ▴")[0] == title
    ]
    heads[occurrence].click()


def test_figures_are_those_of_the_records(opened):
    shown = dict(column(opened, "mAP ↑", occurrence=1))
    assert shown == {
        "CLASP": "41.2 ± 1.3 (3)",
        "MAE": "31.0 ± 1.0 (3)",
        "random": "21.0 ± 1.0 (3)",
        NASTY: "36.0 ± 1.0 (3)",
    }
    assert dict(column(opened, "mAP ↑")) == {"CLASP": "70.0 (1)", "MAE": "–", "random": "50.0 (1)", NASTY: "65.0 (1)"}


def test_sorting_starts_with_the_better_end_and_keeps_missing_last(opened):
    better_first = ["CLASP", NASTY, "random", "MAE"]
    click(opened, "mAP ↑")
    assert [method for method, _ in column(opened, "mAP ↑")] == better_first
    click(opened, "mAP ↑")
    assert [method for method, _ in column(opened, "mAP ↑")] == ["random", NASTY, "CLASP", "MAE"]
    click(opened, "error (px) ↓")
    assert [method for method, _ in column(opened, "error (px) ↓")] == better_first
    click(opened, "method")
    assert [method for method, _ in column(opened, "mAP ↑")][1:] == ["CLASP", "MAE", "random"]
    assert opened.execute_script("return document.querySelectorAll('th[aria-sort=ascending]').length") == 1


def test_a_figure_opens_the_runs_behind_it(opened):
    opened.execute_script("document.querySelector('tbody td:last-child a').click()")
    shown = opened.execute_async_script(
        "const done = arguments[0]; setTimeout(() => done([...document.querySelectorAll('details.runs[open]')]"
        ".map(it => it.innerText)), 100)"
    )
    assert len(shown) == 1
    assert "CLASP reid 3 runs" in " ".join(shown[0].split())
    for run in RECORDS[:3]:
        assert run.key[:8] in shown[0] and f"Seed {run.seed}" in shown[0]
    for fact in (RECORDS[0].weights.digest[:16], "reid_quick", "synthclip", RECORDS[0].code.commit[:12], "1 min 32 s"):
        assert fact in shown[0]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(opened, width):
    resize(opened, width)
    opened.execute_script("document.querySelectorAll('details').forEach(it => it.open = true)")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


def test_names_are_text_and_nothing_else(opened):
    assert opened.title == "clasp-bench report"
    assert opened.execute_script("return document.querySelectorAll('script').length") == 1
    assert NASTY[:29] + "…" in opened.execute_script("return document.querySelector('figure svg').textContent")


def test_the_page_needs_no_network(page):
    """No attribute of the file makes a browser fetch anything: links lead within the page, nothing has a source."""
    fetched = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            fetched.extend(
                (tag, name, value)
                for name, value in attributes
                if name in ("src", "href", "srcset", "data", "xlink:href") and not value.startswith(("#", "data:"))
            )

    Reader().feed(page.read_text())
    assert fetched == []
    assert "<script>document.title" not in page.read_text()
    assert "@import" not in page.read_text() and "url(http" not in page.read_text()


def test_dark_and_light_follow_the_reader(opened):
    colours = []
    for scheme in ("light", "dark"):
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        colours.append(opened.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
