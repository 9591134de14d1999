"""The page in a real browser, in Airflow's own frame and by itself."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from mlflow import MlflowClient
from psycopg import Connection
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from contract.segments import LoggedContract
from local.stack import Stack
from local.waiting import until
from penguins.locks import exclusive_lock
from penguins.monitoring import alarms, verdicts
from tests.penguins import ours
from tests.penguins.monitoring.conftest import Ship, folder, log, ship
from tests.penguins.ui.conftest import MODEL, PASSWORDS, processes
from tests.penguins.ui.test_monitoring import judged
from tests.serving import wide
from tests.serving.service import Service
from tests.shipper.conftest import superuser
from tests.shipper.segments import header, predictions

__all__ = ["folder", "log", "ship"]

pytestmark = pytest.mark.browser

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1400,1000"]
# Resolve no name but the server's address.
OPTIONS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

LOGGED_IN: dict[str | None, str] = {}
"""User that is logged in, by session of the browser."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    """Debian's Chromium."""
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in OPTIONS:
        options.add_argument(option)
    with Chrome(options, Driver("/usr/bin/chromedriver")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chrome, airflow: str) -> Iterator[Chrome]:
    """The browser with one empty window and empty storage; the user stays logged in."""
    yield chromium
    first, *others = chromium.window_handles
    for window in others:
        chromium.switch_to.window(window)
        chromium.close()
    chromium.switch_to.window(first)
    chromium.get("about:blank")
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(airflow))
    chromium.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage"})


def test_the_page_shows_the_disk_and_what_the_stack_takes_of_it(
    airflow: str, browser: Chrome, stack: Stack, first: str
) -> None:
    del first
    with superuser(stack) as connection:
        connection.execute(
            """INSERT INTO monitoring.disk (free, total, parts, is_low)
               VALUES (1, 2, '{"logs of tasks": 1500000, "database mlflow": 2500000000}', false)"""
        )
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    room = until(lambda: text_of(browser, "#room"), "the room")
    assert re.fullmatch(r"[\d.]+ [GM]B of [\d.]+ [GM]B are free \(\d+%\)(: less than 10%.*)?\.", room)
    assert text_of(browser, "#parts tbody").splitlines() == ["database mlflow\t2.5 GB", "logs of tasks\t1.5 MB"]
    assert "penguins_disk does it every hour" in text_of(browser, "#measured")


@pytest.mark.usefixtures("published")
def test_the_page_reports_an_outage_of_mlflow(
    ada: httpx.Client, airflow: str, browser: Chrome, stack: Stack, request: pytest.FixtureRequest
) -> None:
    log_in(browser, airflow)
    request.addfinalizer(lambda: stack.start("mlflow"))
    stack.stop("mlflow")
    assert ada.get("api/overview").status_code == 503
    browser.get(f"{airflow}/penguins/")
    said = until(lambda: text_of(browser, "#trouble"), "the complaint", seconds=60)
    assert said.startswith(f"MLflow at {stack.urls['mlflow']} doesn't answer")


def test_the_page_passes_over_a_version_that_cannot_be_trusted(
    ada: httpx.Client, airflow: str, browser: Chrome, stack: Stack, first: str, request: pytest.FixtureRequest
) -> None:
    body = {"version": "2", "reason": "newer", "expected_champion": first}
    ada.post("api/promote", json=body).raise_for_status()
    mlflow = MlflowClient(stack.urls["mlflow"])
    mlflow.set_model_version_tag(MODEL, first, "signature", "no signature")
    request.addfinalizer(partial(mlflow.delete_model_version_tag, MODEL, first, "signature"))
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    shows(browser, f"{MODEL} version 2")
    until(lambda: "Version 1 is passed over: " in text_of(browser, "#rollback-note"), "the reason")
    assert not find(browser, "#rollback").is_displayed()


@pytest.mark.usefixtures("published")
def test_the_page_shows_that_data_is_loading(
    airflow: str, browser: Chrome, stack: Stack, request: pytest.FixtureRequest
) -> None:
    log_in(browser, airflow)
    for process in processes(stack, "mlflow"):
        request.addfinalizer(process.resume)
        process.suspend()
    browser.get(f"{airflow}/penguins/")
    assert find(browser, "#doing").text == "Loading …"
    assert not find(browser, "#refresh").is_enabled()


def test_nothing_can_be_clicked_while_a_promotion_is_under_way(
    airflow: str, browser: Chrome, stack: Stack, first: str
) -> None:
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    shows(browser, f"{MODEL} version {first}")
    with (
        psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as other,
        exclusive_lock(other, f"production of {MODEL}"),
    ):
        find(browser, "[aria-label='Promote version 2']").click()
        confirm(browser, "it is the newer one")
        until(lambda: text_of(browser, "#doing") == "Putting version 2 in Production …", "the sign of it")
        assert [button for button in browser.find_elements(By.TAG_NAME, "button") if button.is_enabled()] == []
    shows(browser, f"{MODEL} version 2")
    until(lambda: find(browser, "#refresh").is_enabled(), "the end of it")
    assert find(browser, "#doing").text == ""
    assert find(browser, "#done").text.startswith("Version 2 is in Production.")


def test_a_move_in_mlflow_is_not_attributed_to_an_earlier_promoter(
    ada: httpx.Client, airflow: str, browser: Chrome, stack: Stack, first: str, request: pytest.FixtureRequest
) -> None:
    once = {"version": "2", "reason": "it was better once", "expected_champion": first}
    ada.post("api/promote", json=once).raise_for_status()
    ada.post("api/promote", json={"version": first, "reason": "no more", "expected_champion": "2"}).raise_for_status()
    mlflow = MlflowClient(stack.urls["mlflow"])
    mlflow.set_registered_model_alias(MODEL, "production", "2")
    for name, odd in {"gate": "no JSON", "holdout_accuracy": "n/a"}.items():
        mlflow.set_model_version_tag(MODEL, "2", name, odd)
        request.addfinalizer(partial(mlflow.delete_model_version_tag, MODEL, "2", name))
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    shows(browser, f"{MODEL} version 2")
    assert find(browser, "#why").text.startswith("It was moved outside of the pipeline")
    assert "put there by" not in find(browser, "#lineage").text
    assert find(browser, "#trouble").text == ""


def test_promote_and_roll_back_in_the_browser(
    airflow: str, browser: Chrome, stack: Stack, first: str, tmp_path: Path
) -> None:
    own = {"MLFLOW_TRACKING_URI": stack.urls["mlflow"], "SERVING_MODEL_NAME": MODEL, "SERVING_CACHE_DIR": tmp_path}
    trusted = stack.config.credentials.trusted_keys
    with Service(tmp_path, **own, SERVING_POLL_SECONDS="0.5", SERVING_TRUSTED_KEYS=trusted) as service:
        service.serves(first)
        log_in(browser, airflow)
        browser.get(f"{airflow}/plugin/penguins")
        browser.switch_to.frame(until(lambda: find(browser, "iframe"), "Airflow's frame"))
        shows(browser, f"{MODEL} version {first}")
        assert len(browser.find_elements(By.CSS_SELECTOR, "#versions tbody tr")) == 2
        find(browser, "[aria-label='Promote version 2']").click()
        confirm(browser, "it is the newer one")
        shows(browser, f"{MODEL} version 2")
        assert find(browser, "#why").text == "it is the newer one"
        assert "ada" in find(browser, "#lineage").text
        service.serves("2")
        until(lambda: find(browser, "#rollback").is_displayed(), "the version to go back to")
        find(browser, "#rollback").click()
        confirm(browser, "it was not the better one")
        shows(browser, f"{MODEL} version {first}")
        service.serves(first)
        rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#trail tbody tr")]
        assert "ada" in rows[0]
        assert "rolled back from version 2: it was not the better one" in rows[0]
        assert "it is the newer one" in rows[1]


def test_a_question_is_answered_in_the_browser(airflow: str, browser: Chrome, first: str, asked: str) -> None:
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    shows(browser, f"{MODEL} version {first}")
    assert "in place of version 1?" in find(browser, "#questions h3").text
    assert "0.9500" in find(browser, "#questions table").text
    recalls = find(browser, "#questions table").find_elements(By.CSS_SELECTOR, "tr:nth-child(n+3) th")
    assert [each.text for each in recalls] == [f"recall {name}" for name in wide.CLASSES]
    assert find(browser, "#questions article").size["height"] < 800
    until(lambda: f"There is no picture of version {asked}." in text_of(browser, "#questions"), "the missing picture")
    find(browser, f"[aria-label='Keep the champion: version {asked}']").click()
    confirm(browser, "it is no better")
    until(lambda: text_of(browser, "#done") == "Version 1 stays in Production.", "the answer")
    assert not find(browser, "#waiting").is_displayed()


def test_a_long_description_does_not_break_the_page(
    airflow: str, browser: Chrome, stack: Stack, first: str, request: pytest.FixtureRequest
) -> None:
    mlflow = MlflowClient(stack.urls["mlflow"])
    mlflow.update_model_version(MODEL, "2", "x" * 600)
    request.addfinalizer(lambda: mlflow.update_model_version(MODEL, "2", ""))
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    shows(browser, f"{MODEL} version {first}")
    cell = find(browser, "#versions tbody td.name")
    assert cell.text == "x" * 79 + "…"
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert cell.size["width"] < 450


@pytest.mark.usefixtures("first")
def test_a_link_leads_out_of_airflows_frame(airflow: str, browser: Chrome, stack: Stack) -> None:
    log_in(browser, airflow)
    browser.get(f"{airflow}/plugin/penguins")
    browser.switch_to.frame(until(lambda: find(browser, "iframe"), "Airflow's frame"))
    shows(browser, MODEL)
    find(browser, "#lineage a").click()
    until(lambda: len(browser.window_handles) == 2, "MLflow's window")
    browser.switch_to.window(browser.window_handles[1])
    until(lambda: browser.current_url.startswith(f"{stack.urls['mlflow']}/#/models/{MODEL}/versions/1"), "MLflow")


@pytest.mark.usefixtures("first")
def test_a_promotion_without_a_reason_is_not_sent(airflow: str, browser: Chrome) -> None:
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    until(lambda: find(browser, "[aria-label='Promote version 2']"), "the button").click()
    for nothing in ("", "  "):
        find(browser, "#reason").send_keys(nothing)
        find(browser, "#confirm").click()
        assert find(browser, "#ask").is_displayed()
    find(browser, "#ask [value=cancel]").click()
    shows(browser, f"{MODEL} version 1")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.usefixtures("first")
def test_the_page_follows_airflows_theme(airflow: str, browser: Chrome, theme: str) -> None:
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")  # the origin of Airflow's storage
    browser.execute_script(f"localStorage.setItem('theme', '{theme}')")
    browser.get(f"{airflow}/plugin/penguins")
    browser.switch_to.frame(until(lambda: find(browser, "iframe"), "Airflow's frame"))
    shows(browser, MODEL)
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (theme == "light")


@pytest.mark.usefixtures("first")
def test_the_page_says_what_the_service_serves(airflow: str, browser: Chrome) -> None:
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/")
    said = until(lambda: text_of(browser, "#service"), "the service's word")
    assert said.startswith("What the service serves is unknown: http://127.0.0.1:")


def test_a_viewer_gets_no_buttons(airflow: str, browser: Chrome, first: str) -> None:
    log_in(browser, airflow, "vera")
    browser.get(f"{airflow}/penguins/")
    shows(browser, f"{MODEL} version {first}")
    assert browser.find_elements(By.CSS_SELECTOR, "#versions button") == []
    assert not find(browser, "#rollback").is_displayed()


@pytest.mark.usefixtures("log")
def test_the_log_is_shown_and_searched(
    airflow: str,
    browser: Chrome,
    folder: Path,
    ship: Ship,
) -> None:
    name, ids = predictions(folder, 60)
    ship(name)
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/?contract=wine")
    until(lambda: text_of(browser, "#now") == "Nothing is in Production", "the page")
    find(browser, "#other").click()
    until(lambda: "60 predictions of wine" in text_of(browser, "#sum"), "the log")
    assert browser.find_elements(By.CSS_SELECTOR, "#chart rect")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#latest tbody tr")) == 50
    Select(find(browser, "#class")).select_by_value("ü")
    sums = (
        "return [...document.querySelectorAll('#sums tbody tr')].map((row) => row.innerText.split('\\t').slice(0, 2))"
    )
    until(lambda: browser.execute_script(sums) == [["1", "ü"]], "the class")
    find(browser, "#id").send_keys(f"{ids[3]}/3")
    find(browser, "#search button").click()
    until(lambda: "alcohol" in text_of(browser, "#details"), "the prediction")
    assert "The audit trail doesn't know this version." in find(browser, "#details").text
    find(browser, "#id").send_keys("x")
    find(browser, "#search button").click()
    until(lambda: "isn't the id of a prediction" in text_of(browser, "#trouble"), "the complaint")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.usefixtures("log")
def test_the_log_of_two_hundred_features_and_fifty_classes_is_shown(
    airflow: str, browser: Chrome, folder: Path, ship: Ship
) -> None:
    name, ids = predictions(folder, 400, header(LoggedContract.of(wide.WIDE)))
    ship(name)
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/predictions?contract=wine")
    until(lambda: "400 predictions of wine" in text_of(browser, "#sum"), "the log")
    counts = {"#legend span": 50, "#class option": 51, "#sums tbody tr": 50, "#chart rect": 50, "#latest tbody tr": 50}
    assert {each: len(browser.find_elements(By.CSS_SELECTOR, each)) for each in counts} == counts
    titles = "return [...document.querySelectorAll('#chart title')].map((each) => each.textContent)"
    assert [title.split(", ")[-1].split(":")[0] for title in browser.execute_script(titles)] == wide.CLASSES
    find(browser, "#id").send_keys(f"{ids[3]}/3")
    find(browser, "#search button").click()
    until(lambda: wide.NAMES[-1] in text_of(browser, "#details"), "the prediction")
    names = "return [...document.querySelectorAll('#details dt')].map((each) => each.textContent)"
    shown = browser.execute_script(names)
    assert shown[:200] == wide.NAMES
    assert shown[200:] == ["predicted", "probabilities", "truth", "outside the training range", "answered"]
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.execute_script("return document.documentElement.scrollHeight") < 5 * 1000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_about_monitoring_is_shown(airflow: str, browser: Chrome, log: Connection[Any], theme: str) -> None:
    aspects = {"values": {"p": 1e-9, "effect": 1.2, "drifted": True}}
    counts = {"edges": [1.0, 2.0], "reference": [5, 10, 5], "window": [0, 5, 15]}
    feature = {"name": "alcohol", "kind": "number", "unit": "%", "missing": {"reference": 0, "window": 0}}
    numbers = {"domain": None, "features": [feature | {"aspects": aspects, "counts": counts}]}
    of = {"contract": "wine", "model": "wine"}
    drifted = judged(0, "drifted", features=["alcohol"], numbers=numbers, **of)
    verdicts.write(log, [drifted, judged(1, **of), judged(2, "too few", **of)])
    wine = ours.contract().model_copy(update={"name": "wine"})
    alarms.raise_alarms(log, wine, drifted.span, [alarms.Reason("drift", "3", "alcohol drifted")])
    log_in(browser, airflow)
    browser.get(f"{airflow}/penguins/?contract=wine")  # the origin of Airflow's storage
    browser.execute_script(f"localStorage.setItem('theme', '{theme}')")
    until(lambda: text_of(browser, "#now") == "Nothing is in Production", "the page")
    browser.get_log("browser")
    find(browser, "#watch").click()
    until(lambda: text_of(browser, "#sentence"), "the answer")
    assert find(browser, "#sentence").text == "Nothing is in Production, so there is nothing to trust."
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (theme == "light")
    until(lambda: "100 rows of version 3: drifted (alcohol)." in text_of(browser, "#said"), "the window")
    for chart in ("#accuracy circle.dot", "#accuracy circle.guess", "#drift rect.drifted", "#drift rect.judged"):
        assert browser.find_elements(By.CSS_SELECTOR, chart)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#features figure.drifted rect.own")) == 3
    spoken = find(browser, "#features svg").get_attribute("aria-label")
    assert spoken.startswith("alcohol, training rows and window: below 1 25 %, 0 %;")
    assert "alcohol drifted" in find(browser, "#alarms").text
    select = find(browser, "#window")
    select.send_keys(Keys.ARROW_DOWN)
    until(lambda: "100 rows of version 3: stable." in text_of(browser, "#said"), "the next window, by the keyboard")
    Select(find(browser, "#hours")).select_by_value("2160")
    until(lambda: text_of(browser, "#by-version tbody tr td:nth-child(2)") == "300", "the sums of 90 days")
    assert find(browser, "#trouble").text == ""
    assert [entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]] == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        for chart in ("#traffic", "#accuracy", "#drift"):
            height = browser.execute_script(
                f"return document.querySelector('{chart} text').getBoundingClientRect().height"
            )
            assert height >= 9, chart  # legible
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def log_in(browser: Chrome, airflow: str, user: str = "ada") -> None:
    """Log in by the form, unless this user is logged in already."""
    if LOGGED_IN.get(browser.session_id) == user:
        return
    LOGGED_IN.pop(browser.session_id, None)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.get(f"{airflow}/")
    until(lambda: find(browser, "input[name=username]"), "the login").send_keys(user)
    find(browser, "input[name=password]").send_keys(PASSWORDS[user])
    find(browser, "button[type=submit]").click()
    until(lambda: "/login" not in browser.current_url, "to be logged in")
    LOGGED_IN[browser.session_id] = user


def text_of(browser: Chrome, selector: str) -> str:
    """Return the text that the page shows in an element, in one step: the page may replace the element at any time."""
    script = """const found = document.querySelector(arguments[0]);
        return found?.checkVisibility() ? found.innerText.trim() : '';"""
    return str(browser.execute_script(script, selector))


def find(browser: Chrome, selector: str) -> Any:
    found: list[WebElement] = browser.find_elements(By.CSS_SELECTOR, selector)
    return found[0] if found else None


def shows(browser: Chrome, text: str) -> None:
    until(lambda: text in text_of(browser, "#now"), f"{text} in Production", seconds=60)


def confirm(browser: Chrome, reason: str) -> None:
    find(browser, "#reason").send_keys(reason)
    find(browser, "#confirm").click()
