"""The page in headless Chromium."""

import itertools
import json
import shutil
import time
from html.parser import HTMLParser

import pytest

from clasp_bench.report import assemble
from clasp_bench.report.drawing import draw
from clasp_bench.report.page import html
from clasp_bench.report.published import CHECKOUT, read_published
from clasp_bench.suite.record import Curve, read_records
from tests.suite.records import a_record

NASTY = "<script>document.title='broken'</script> $x^2$ {{ 7 * 7 }} \"&'"
FIGURES = {
    "CLASP": (40.0, 41.0, 42.5),
    "MAE": (30.0, 31.0, 32.0),
    "random": (20.0, 22.0, 21.0),
    NASTY: (35.0, 36.0, 37.0),
}
CURVE = {"loss": Curve(steps=[10, 20, 30], values=[2.0, 1.5, 1.2])}
RECORDS = [
    *(
        a_record(method, seed=seed, mAP=value, curves=CURVE)
        for method, row in FIGURES.items()
        for seed, value in enumerate(row)
    ),
    *(a_record(method, task="attribute", mAP=row[0] + 30) for method, row in FIGURES.items() if method != "MAE"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report = assemble(RECORDS, published=read_published(CHECKOUT))
    path.write_text(html(report, draw(report)))
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


def open_cell(browser, method, title, occurrence=0):
    """Opens the cell of a method below a metric and returns the dialog's text."""
    return browser.execute_script(
        """
        const [method, title, occurrence] = arguments;
        const found = [...document.querySelectorAll("thead button")].filter(it => it.textContent === title)[occurrence];
        const row = [...document.querySelector("table.results").tBodies[0].rows].find(row => row.cells[0].textContent === method);
        row.cells[found.dataset.column].querySelector("button").click();
        document.querySelectorAll("dialog details").forEach(it => it.open = true);
        return document.querySelector("dialog[open]").innerText;""",
        *(method, title, occurrence),
    )


def test_a_figure_opens_the_runs_behind_it(opened):
    shown = open_cell(opened, "CLASP", "mAP ↑", occurrence=1)
    assert "CLASP · reid" in shown
    for run in RECORDS[:3]:
        assert run.key[:8] in shown and f"seed {run.seed} mAP {run.metrics['mAP'].value:.2f}" in shown
    first = RECORDS[0]
    for fact in (
        first.weights.digest[:16],
        "reid_quick",
        "lr = 3e-4",
        "synthclip",
        first.code.commit[:12],
        "1 min 32 s",
    ):
        assert fact in shown
    assert '"method": "CLASP"' in shown  # the header of the weights


def test_the_runs_close_by_escape_and_by_button(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    for close in (
        lambda: opened.switch_to.active_element.send_keys(Keys.ESCAPE),
        lambda: opened.find_element(By.ID, "close").click(),
    ):
        open_cell(opened, "MAE", "mAP ↑", occurrence=1)
        close()
        assert opened.execute_script("return document.querySelectorAll('dialog[open]').length") == 0


def test_a_cell_opens_by_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("document.querySelector('button.open').focus()")
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    assert "·" in opened.execute_script("return document.querySelector('dialog[open] h2').textContent")


def test_a_nasty_name_is_text_in_the_runs_too(opened):
    assert NASTY in open_cell(opened, NASTY, "mAP ↑", occurrence=1)
    assert opened.title == "clasp-bench report"


def shown_rows(browser, table):
    script = "return [...document.getElementById(arguments[0]).tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].textContent)"
    return browser.execute_script(script, table)


def test_words_filter_rows(opened):
    from selenium.webdriver.common.by import By

    search = opened.find_element(By.CSS_SELECTOR, "[data-for=results-1] input[type=search]")
    search.send_keys("clasp SYNTH")
    assert shown_rows(opened, "results-1") == ["CLASP"]
    assert opened.find_element(By.CSS_SELECTOR, "[data-for=results-1] output").text == "1 of 4 rows"
    search.send_keys(" nothing")
    assert shown_rows(opened, "results-1") == []


def test_tasks_and_further_metrics_can_be_hidden(opened):
    def titles():
        return opened.execute_script(
            "return [...document.querySelectorAll('#results-1 thead tr:last-child th')].filter(it => !it.hidden).map(it => it.innerText)"
        )

    def toggle(label):
        opened.execute_script(
            "[...document.querySelectorAll('[data-for=results-1] .chip')].find(it => it.innerText.trim() === arguments[0]).click()",
            label,
        )

    assert titles() == ["rank ↓", "norm. ↑", "mAP ↑", "error (px) ↓", "mAP ↑", "error (px) ↓"]
    toggle("attribute")
    assert titles() == ["rank ↓", "norm. ↑", "mAP ↑", "error (px) ↓"]
    toggle("all metrics")
    assert titles() == ["rank ↓", "norm. ↑", "mAP ↑"]
    toggle("attribute")
    assert titles() == ["rank ↓", "norm. ↑", "mAP ↑", "mAP ↑"]


def test_cited_figures_stand_beside_the_measured_ones_and_filter_by_origin(opened):
    tables = opened.execute_script("return [...document.querySelectorAll('table.side')].map(it => it.id)")
    assert len(tables) == 2  # attribute and reid were measured
    everything = shown_rows(opened, "side-2")
    assert everything[:4] == ["CLASP", NASTY, "random", "MAE"] and everything[-1] == "UniHCP"
    text = opened.execute_script("return document.getElementById('side-2').innerText")
    for fact in ("93.9", "96.9", "aggregator only", "derived", "task labels", "github.com/tinyvision/SOLIDER"):
        assert fact in text
    for origin in ("published", "aggregator only", "derived"):
        opened.execute_script(
            "document.querySelector(`[data-for=side-2] input[value='${arguments[0]}']`).click()", origin
        )
    assert shown_rows(opened, "side-2") == ["CLASP", NASTY, "random", "MAE"]


def test_the_reference_is_compared_with_every_other_method(opened):
    rows = opened.execute_script(
        "return [...document.querySelectorAll('#against-1 tbody tr')].map(row => [...row.cells].map(it => it.innerText))"
    )
    mae = next(row for row in rows if row[0] == "MAE")
    assert mae[1] == "–" and " ".join(mae[2].split()) == "+10.2 win p < 0.001"
    assert mae[3] == "1, 0, 0"


def test_plots_have_a_title_and_every_method(opened):
    plots = opened.execute_script("return [...document.querySelectorAll('figure svg')].map(it => it.textContent)")
    for title in (
        "attribute · mAP ↑",
        "reid · mAP ↑",
        "Quality (normalised mean)",
        "Mean ranks",
        "reid · loss over training steps",
    ):
        assert sum(title in plot for plot in plots) == 1, title
    (reid,) = (plot for plot in plots if "reid · mAP ↑" in plot)
    assert all(method in reid for method in ("CLASP", "MAE", "random", "41.2 ± 1.3"))


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(opened, width):
    resize(opened, width)
    opened.execute_script("document.querySelectorAll('details').forEach(it => it.open = true)")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


def test_names_are_text_and_nothing_else(opened):
    assert opened.title == "clasp-bench report"
    assert opened.execute_script("return document.querySelectorAll('script').length") == 2  # data and code
    assert NASTY[:25] + "…" in opened.execute_script("return document.querySelector('figure svg').textContent")


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


def test_dark_and_light_follow_the_reader_and_the_button(opened):
    def background():
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    colours = []
    for scheme in ("light", "dark"):
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        colours.append(background())
    assert colours[0] != colours[1]
    chosen = []
    for _ in range(3):
        opened.execute_script("document.getElementById('theme').click()")
        chosen.append(background())
    assert chosen == [colours[0], colours[1], colours[1]]  # light, dark, as the system has it: dark


def test_every_control_has_a_name(opened):
    nameless = opened.execute_script(
        "return [...document.querySelectorAll('button, input')].filter(it =>"
        " !(it.textContent.trim() || it.getAttribute('aria-label') || it.closest('label')?.textContent.trim())).length"
    )
    assert nameless == 0


@pytest.mark.slow
def test_thousands_of_records_take_seconds(tmp_path):
    """Reading, tables, statistics and page of 5,000 records, in processor time of this process."""
    methods, tasks, worlds, seeds = 20, 5, 5, 10
    plain = json.loads(a_record().model_dump_json())
    for number, (method, task, world, seed) in enumerate(
        itertools.product(range(methods), range(tasks), range(worlds), range(seeds))
    ):
        value = {"value": 50 + method + (seed * 7 + task) % 5, "higher_is_better": True, "unit": "%"}
        changes = {"method": f"method {method}", "task": f"task {task}", "world": f"world {world}", "seed": seed}
        record = plain | changes | {"metrics": dict.fromkeys(("first", "second", "third"), value)}
        (tmp_path / f"{number}.json").write_text(json.dumps(record))
    begun = time.process_time()
    records, skipped = read_records(tmp_path)
    report = assemble(records, reference="method 3", published=read_published(CHECKOUT))
    page = html(report, draw(report))
    taken = time.process_time() - begun
    assert (len(records), skipped) == (5000, [])
    assert page.count('class="open"') == methods * tasks * worlds * 3
    assert taken < 30, f"took {taken:.1f} s"  # 3 s on an idle core; over 10 s were met beside other work
