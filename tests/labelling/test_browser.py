"""The labelling page in a real browser; skipped without Chromium."""

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from shredfinder.labelling import DEFINITIONS, LabellingPage, LabellingSession, LabelStore

selenium = pytest.importorskip("selenium", reason="the page's tests in a browser need selenium")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with its chromedriver is found"
)


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_window_size(1200, 800)
    yield driver
    driver.quit()


@pytest.fixture
def session(tmp_path):
    for row in range(3):
        Image.new("RGB", (32, 32), (90, 80 * row, 60)).save(tmp_path / f"{row}.png")
    store = LabelStore(tmp_path / "labels.ecsv")
    return LabellingSession([10, 11, 12, 13], store, "ann", order=[2, 0, 3, 1])


@pytest.fixture
def page(tmp_path, session, browser):
    # The cutout of row 3 is missing.
    with LabellingPage(session, [tmp_path / f"{row}.png" for row in range(4)]) as page:
        browser.get(page.url)
        wait(browser, lambda: count(browser) == "0 of 4")
        yield page
        # The conflict of two windows and the missing cutout are expected, but no error of the page
        # itself, such as a violation of its content security policy.
        messages = [entry["message"] for entry in browser.get_log("browser")]
        assert not [text for text in messages if "status of" not in text and "favicon" not in text]


def wait(browser, condition):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: condition())


def get(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def press(browser, keys):
    get(browser, "body").send_keys(keys)


def count(browser):
    return get(browser, "#count").text


def shown(browser):
    """Return the row whose cutout is visible and decoded."""
    return browser.execute_script(
        "const image = document.getElementById('cutout');"
        "return image.hidden || !image.naturalWidth ? null : image.src.split('/').pop();"
    )


def test_labels_by_keys(browser, page, session):
    wait(browser, lambda: shown(browser) == "2")
    press(browser, "s")
    assert get(browser, "[data-label=shred]").get_attribute("aria-pressed") == "true"
    assert session.n_done == 0
    press(browser, "2")
    wait(browser, lambda: count(browser) == "1 of 4")
    wait(browser, lambda: shown(browser) == "0")
    # The other order, in capitals, and a change of mind.
    press(browser, "3")
    press(browser, "G")
    wait(browser, lambda: count(browser) == "2 of 4")
    assert session.store.get("ann") == {12: ("shred", 2), 10: ("galaxy", 3)}
    assert get(browser, "[data-label=galaxy]").get_attribute("aria-pressed") == "false"


def test_a_missing_cutout_is_reported_and_can_be_labelled(browser, page, session):
    for keys in ("g1", "s1"):
        n_done = session.n_done
        for key in keys:
            press(browser, key)
        wait(browser, lambda n=n_done: count(browser) == f"{n + 1} of 4")
    wait(browser, lambda: "is unusable" in get(browser, "#message").text)
    assert not get(browser, ".mark").is_displayed()
    assert not get(browser, "#closeup").is_displayed()
    for key in "o3":
        press(browser, key)
    wait(browser, lambda: shown(browser) == "1")
    assert session.store.get("ann")[13] == ("other", 3)
    for key in "g2":
        press(browser, key)
    wait(browser, lambda: "All sources are labelled" in get(browser, "#message").text)
    assert not get(browser, "[data-label=galaxy]").is_enabled()
    press(browser, "u")
    wait(browser, lambda: shown(browser) == "1")
    assert count(browser) == "3 of 4"


def test_undo_and_skip(browser, page, session):
    wait(browser, lambda: shown(browser) == "2")
    assert not get(browser, "#undo").is_enabled()
    press(browser, " ")
    wait(browser, lambda: shown(browser) == "0")
    get(browser, "#undo").click()
    wait(browser, lambda: shown(browser) == "2")
    get(browser, "[data-label=galaxy]").click()
    get(browser, "[data-confidence='1']").click()
    wait(browser, lambda: count(browser) == "1 of 4")
    press(browser, "u")
    wait(browser, lambda: count(browser) == "0 of 4")
    assert session.store.get("ann") == {}
    assert shown(browser) == "2"


def test_the_space_bar_does_not_press_the_button_in_focus(browser, page, session):
    wait(browser, lambda: shown(browser) == "2")
    get(browser, "[data-label=galaxy]").click()
    press(browser, " ")
    wait(browser, lambda: shown(browser) == "0")
    assert session.n_done == 0


@pytest.mark.parametrize("view", ["cutout", "closeup"])
def test_the_mark_is_at_the_centre_and_can_be_hidden(browser, page, view):
    wait(browser, lambda: shown(browser) == "2")
    boxes = browser.execute_script(
        "const view = document.getElementById(arguments[0]).parentElement;"
        "return [view, ...view.querySelectorAll('.mark i')]"
        ".map(e => { const r = e.getBoundingClientRect();"
        "  return [r.x, r.y, r.width, r.height]; })",
        view,
    )
    (x, y, width, height), *lines = boxes
    assert width == pytest.approx(height)
    assert width > 380
    centers = [(left + w / 2 - x, top + h / 2 - y) for left, top, w, h in lines]
    for i in (0, 1):
        assert sum(center[i] for center in centers) / 4 == pytest.approx(width / 2, abs=0.6)
    press(browser, "m")
    assert not get(browser, f"#{view} + .mark").is_displayed()
    press(browser, "m")
    assert get(browser, f"#{view} + .mark").is_displayed()


def test_the_centre_is_enlarged_beside_the_whole_cutout(browser, page):
    wait(browser, lambda: shown(browser) == "2")
    sizes = "return ['cutout', 'closeup'].map(id => {"
    sizes += " const e = document.getElementById(id), r = e.getBoundingClientRect();"
    sizes += " return [r.width, e.parentElement.getBoundingClientRect().width, e.src]; })"
    whole, closeup = browser.execute_script(sizes)
    assert whole[0] == pytest.approx(whole[1])
    assert closeup[0] == pytest.approx(3 * closeup[1])
    assert whole[1:] == closeup[1:]
    press(browser, "z")
    assert not get(browser, "#closeup").is_displayed()
    assert get(browser, "#cutout").rect["width"] > whole[0]
    press(browser, "z")
    press(browser, "b")
    for view in ("cutout", "closeup"):
        assert "bright" in get(browser, f"#{view}").get_attribute("class")


def test_the_classes_are_defined(browser, page):
    assert get(browser, "#definitions dl").is_displayed()
    text = get(browser, "#definitions dl").text
    assert all(
        f"{name} {meaning}" in " ".join(text.split()) for name, meaning in DEFINITIONS.items()
    )
    press(browser, "d")
    assert not get(browser, "#definitions dl").is_displayed()
    press(browser, "d")


def test_a_label_in_another_window_is_noticed(browser, page, session):
    wait(browser, lambda: shown(browser) == "2")
    session.label("shred", 3)
    press(browser, "g")
    press(browser, "3")
    wait(browser, lambda: "already" in get(browser, "#status").text)
    wait(browser, lambda: shown(browser) == "0")
    assert session.store.get("ann") == {12: ("shred", 3)}


@pytest.fixture
def elsewhere():
    """The address of another page on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html><title>elsewhere</title>")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_another_site_can_neither_label_nor_read(browser, tmp_path, session, elsewhere):
    """Not even if it knows the URL."""
    with LabellingPage(session, [tmp_path / f"{row}.png" for row in range(4)]) as page:
        browser.get(elsewhere)
        outcomes = browser.execute_async_script(
            """
            const [url, done] = arguments;
            const body = JSON.stringify({row: 2, label: "shred", confidence: 3});
            const post = (options) => fetch(url + "label", {method: "POST", body, ...options})
                .then((r) => r.type, () => "failed");
            const image = new Promise((tell) => {
                const element = new Image();
                element.onload = () => tell("loaded");
                element.onerror = () => tell("failed");
                element.src = url + "cutout/0";
            });
            const json = {headers: {"Content-Type": "application/json"}};
            Promise.all([
                post({mode: "no-cors"}), post(json), image,
                fetch(url + "state").then(() => "read", () => "failed"),
            ]).then(done);
            """,
            page.url,
        )
    assert outcomes == ["failed"] * 4
    assert session.n_done == 0
    browser.get_log("browser")


def test_a_stopped_server_is_reported(browser, tmp_path, session):
    page = LabellingPage(session, [tmp_path / f"{row}.png" for row in range(4)])
    page.start()
    browser.get(page.url)
    wait(browser, lambda: shown(browser) == "2")
    page.close()
    press(browser, "g")
    press(browser, "3")
    wait(browser, lambda: "still running" in get(browser, "#status").text)
    assert session.n_done == 0
    browser.get_log("browser")


@pytest.mark.parametrize("size", [(1200, 800), (1000, 640), (420, 800)])
def test_fits_the_window(browser, page, size):
    browser.set_window_size(*size)
    try:
        wait(browser, lambda: shown(browser) == "2")
        width, height, inner_width, inner_height = browser.execute_script(
            "const e = document.documentElement;"
            "return [e.scrollWidth, e.scrollHeight, innerWidth, innerHeight]"
        )
        assert width <= inner_width
        assert height <= inner_height
    finally:
        browser.set_window_size(1200, 800)
