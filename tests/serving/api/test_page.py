"""The page at `/` and the documentation at `/docs`, in a real browser without access to other servers."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from contract.counters import SHIPPER, SHIPPER_FILE, Counters
from contract.digests import MANIFEST_FILE
from local.waiting import until
from tests.serving import cached, flats, mixed, wide
from tests.serving.penguins import FEATURES, SPECIES
from tests.serving.publisher import Publisher, contract, forest
from tests.serving.reload.test_watcher import edit_contract
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]

pytestmark = pytest.mark.browser

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
# Only the address of the service can be resolved.
OPTIONS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
BEYOND = """
    for (const field of document.querySelectorAll("#sliders [type=number]")) {
      field.value = 1000;
      field.dispatchEvent(new Event("input"));
    }
"""
BARS = "return [...document.querySelectorAll('#bars progress')].map((bar) => bar.value)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """Debian's Chromium."""
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, Driver("/usr/bin/chromedriver")) as browser:
        yield browser


@pytest.fixture(autouse=True)
def _clean(browser: Chrome) -> Iterator[None]:
    """Reset the window before each test; after the test check that the browser logged no errors."""
    size(browser, 1100, 900)
    yield
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert [text for text in complaints if "/predict" not in text and "/model" not in text] == []


def size(browser: Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def find(browser: Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def answer(browser: Chrome) -> str:
    """Return the species shown on the page."""
    return find(browser, "#answer").text.partition(",")[0]


def opened(browser: Chrome, service: Service) -> Chrome:
    """Open the page and wait for its first answer."""
    browser.get(str(service.http.base_url))
    until(lambda: answer(browser) in SPECIES, "the first answer")
    return browser


def enter(browser: Chrome, penguin: dict[str, float]) -> None:
    for name, value in penguin.items():
        field = find(browser, f"#{name}-number")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(str(value))


def test_page_shows_the_answer_of_the_service(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    for label, name in enumerate(SPECIES):
        row = contract(forest())["example"]["inputs"][label * 7]
        penguin = {feature: round(value, 1) for feature, value in zip(FEATURES, row, strict=True)}
        enter(browser, penguin)
        expected = service.predict(penguin).json()
        until(lambda expected=expected: answer(browser) == expected["species"][0], f"the answer for a {name}")
        shares = pytest.approx(list(expected["probabilities"][0].values()))
        until(lambda shares=shares: browser.execute_script(BARS) == shares, "its bars")


def test_page_shows_the_model_and_its_start(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    assert find(browser, "#model").text.startswith("asked version 1 (onnxruntime)")
    assert find(browser, "#served").text.startswith("Version 1 answers since ")
    assert not find(browser, "#log").is_displayed()


def test_page_shows_the_counters_of_the_prediction_log(browser: Chrome, tmp_path: Path) -> None:
    own = {"SERVING_LOG_DIR": tmp_path / "spool", "SERVING_LOG_BUFFER_BYTES": 10_000}
    with Service(tmp_path, **cached.store(tmp_path / "cache"), **own) as service:
        service.predict([PENGUIN] * 1000)
        service.predict()
        file = os.open(tmp_path / "spool" / "counters" / SHIPPER_FILE, os.O_RDWR | os.O_CREAT)
        Counters(SHIPPER, file).add("shipped", 1234)
        opened(browser, service)
        said = (
            r"1,0\d\d predictions to log, 1,234 shipped\. \d+ kB wait, for \d+ s\. Not logged: 1,000 \(buffer full\)."
        )
        until(lambda: re.fullmatch(said, find(browser, "#log").text), "the counters")


def test_sliders_have_the_range_of_the_model_and_follow_the_keyboard(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    for feature in service.status()["model"]["features"]:
        slider = find(browser, f"#{feature['name']}")
        assert float(slider.get_attribute("min") or "nan") < feature["min"]
        assert float(slider.get_attribute("max") or "nan") > feature["max"]
        before = float(slider.get_attribute("value") or "nan")
        slider.send_keys(Keys.ARROW_RIGHT)
        after = float(find(browser, f"#{feature['name']}-number").get_attribute("value") or "nan")
        assert after > before


def test_value_outside_the_range_causes_a_warning(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    assert not find(browser, "#warnings").is_displayed()
    enter(browser, {"body_mass_g": 9000})
    until(lambda: "body_mass_g=9000 g is outside the range" in find(browser, "#warnings").text, "the warning")


def test_empty_field_is_reported(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    field = find(browser, "#body_mass_g-number")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    until(lambda: "body_mass_g=null isn't a number" in find(browser, "#trouble").text, "the error")
    enter(browser, {"body_mass_g": 4000})
    until(lambda: not find(browser, "#trouble").is_displayed(), "the error to disappear")


def test_scatter_shows_the_training_data_of_the_version(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    points = browser.find_elements(By.CSS_SELECTOR, "#scatter path[class^=species]")
    assert len(points) == len(service.http.get("/model/points").json()["labels"]) == 20
    before = find(browser, "#scatter .here").get_attribute("transform")
    Select(find(browser, "#x")).select_by_value("body_mass_g")
    assert find(browser, "#scatter .here").get_attribute("transform") != before
    assert "body mass and bill length" in find(browser, "#scatter-text").text
    find(browser, "#presets button:nth-child(3)").click()
    until(lambda: answer(browser) == "Gentoo", "the answer for a Gentoo")


def test_every_control_has_a_name_and_keyboard_focus(browser: Chrome, service: Service) -> None:
    opened(browser, service)
    controls = browser.find_elements(By.CSS_SELECTOR, "a, main button, select, main input")
    assert len(controls) >= 16
    assert all(control.accessible_name for control in controls)
    assert len({control.accessible_name for control in controls}) == len(controls)
    assert "nearest are" in find(browser, "#scatter").accessible_name
    reached = set()
    for _ in range(len(controls) + 2):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.switch_to.active_element.id)
    assert {control.id for control in controls} <= reached


@pytest.mark.parametrize("width", [390, 768, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_the_window_and_has_contrast(browser: Chrome, service: Service, width: int, scheme: str) -> None:
    size(browser, width, 900)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened(browser, service)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    for selector in ("h1", "#answer", "#served", "nav a", "small", ".note"):
        assert contrast(browser, find(browser, selector)) >= 4.5, selector


def contrast(browser: Chrome, element: WebElement) -> float:
    """Return the contrast of a text to its background, as defined by WCAG."""
    script = """
        let behind = arguments[0], back;
        do { back = getComputedStyle(behind).backgroundColor; behind = behind.parentElement; }
        while (behind && back === "rgba(0, 0, 0, 0)");
        return [getComputedStyle(arguments[0]).color, back]
            .map((text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number));
    """
    one, other = sorted(map(luminance, browser.execute_script(script, element)))
    return (other + 0.05) / (one + 0.05)


def luminance(colour: list[float]) -> float:
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


def test_new_version_and_its_training_data_appear(browser: Chrome, publisher: Publisher, start: Start) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    opened(browser, service)
    scatter = {"inputs": [list(PENGUIN.values())] * 30, "labels": [0, 1, 2] * 10}
    publisher.promote(version := publisher.publish(forest(1), edit_contract(scatter=scatter)))
    service.serves(version)
    until(lambda: f"version {version}" in find(browser, "#model").text, "the page to show the version")
    until(lambda: "Of the 30 penguins drawn" in find(browser, "#scatter-text").text, "its training data")


def test_page_follows_the_contract_of_the_version(browser: Chrome, publisher: Publisher, start: Start) -> None:
    publisher.promote(publisher.publish(forest(), lambda files: files.update(mixed.files())))
    service = start()
    browser.get(str(service.http.base_url))
    until(lambda: find(browser, "#answer").text.endswith("%"), "the first answer")
    assert find(browser, "h1").text == "Which kind of grape is it?"
    city, red, grade = (Select(find(browser, selector)) for selector in ("#feature-4", "#is_red", "#grade"))
    assert [option.get_attribute("textContent") for option in city.options] == [*mixed.CITIES]
    assert [option.text for option in red.options] == ["no", "yes", "missing"]
    assert [option.text for option in grade.options] == ["7", "3", "5", "missing"]
    assert [option.text for option in Select(find(browser, "#x")).options].count("100%") == 1
    assert len(Select(find(browser, "#y")).options) == 3
    for row in mixed.ROWS[:4]:
        for index, select in ((3, red), (4, city), (5, grade)):
            values = ([False, True, None], [*mixed.CITIES], [7, 3, 5, None])[index - 3]
            select.select_by_index(values.index(row[index]))
        for index, value in enumerate(row[:3]):
            field = find(browser, f"#feature-{index}-number")
            field.send_keys(Keys.CONTROL, "a", Keys.DELETE)
            field.send_keys("" if value is None else f"{value:f}")
        shares = pytest.approx(list(service.predict(mixed.as_json(row)).json()["probabilities"][0].values()))
        until(lambda shares=shares: browser.execute_script(BARS) == shares, f"the bars for {row}")
        assert not find(browser, "#trouble").is_displayed()
    find(browser, "#presets button").click()
    until(lambda: find(browser, "#answer").text.endswith("%"), "the answer for a row of training data")
    assert "Of the 60 rows drawn" in find(browser, "#scatter-text").text


def test_page_of_many_classes_that_are_numbers_and_of_features_that_are_0_or_1(browser: Chrome, tmp_path: Path) -> None:
    with Service(tmp_path, **cached.store(tmp_path / "cache", "flats", files=flats.files())) as service:
        until(lambda: service.http.get("/health/ready").is_success, "the service to be ready")
        browser.get(str(service.http.base_url))
        until(lambda: find(browser, "#answer").text.endswith("%"), "the first answer")
        ranges = {
            name: tuple(find(browser, f"#{name}").get_attribute(each) for each in ("min", "max", "step"))
            for name in ("size_m2", "balcony", "garage")
        }
        assert ranges == {"size_m2": ("0.0", "468.8", "0.1"), "balcony": ("0", "1", "1"), "garage": ("0", "0", "1")}
        assert [button.text for button in browser.find_elements(By.CSS_SELECTOR, "#presets button")] == [
            str(each) for each in flats.ROOMS
        ]
        for size, balcony in ((400, 1), (20, 0)):
            for name, value in (("size_m2", size), ("balcony", balcony)):
                field = find(browser, f"#{name}-number")
                field.send_keys(Keys.CONTROL, "a")
                field.send_keys(str(value))
            row = {"size_m2": size, "balcony": balcony, "lift": 0.5, "garage": 0}
            answered = service.http.post("/predict", json=row).json()
            rooms = answered["rooms"][0]
            until(lambda rooms=rooms: answer(browser) == str(rooms), f"the answer for {row}")
            shares = answered["probabilities"][0]
            bars = [each.text.split("\n") for each in browser.find_elements(By.CSS_SELECTOR, "#bars li:not(.more)")]
            assert len(bars) == 8
            assert bars[0] == [str(rooms), f"{100 * shares[str(rooms)]:.1f} %"]
            assert [float(share.split()[0]) for _, share in bars] == sorted(
                (round(100 * share, 1) for share in shares.values()), reverse=True
            )[:8]
            assert find(browser, "#bars .more").text.startswith("4 more, together ")
        assert len(browser.find_elements(By.CSS_SELECTOR, "#legend li")) == 12
        assert not find(browser, "#trouble").is_displayed()


def test_page_of_two_hundred_features_and_fifty_classes(browser: Chrome, tmp_path: Path) -> None:
    with Service(tmp_path, **cached.store(tmp_path / "cache", "wide", files=wide.files())) as service:
        until(lambda: service.http.get("/health/ready").is_success, "the service to be ready")
        browser.get(str(service.http.base_url))
        until(lambda: find(browser, "#answer").text.endswith("%"), "the first answer")
        counts = {"#sliders .slider": 200, "#sliders select": 80, "#x option": 120, "#legend li": 50}
        counts |= {"#presets button": 50, "#scatter path[class^=species]": 300, "#bars progress": 8}
        assert {each: len(browser.find_elements(By.CSS_SELECTOR, each)) for each in counts} == counts
        assert find(browser, "#bars .more").text.startswith("42 more, together ")
        enter(browser, {wide.NAMES[-1]: 0.73})
        until(lambda: answer(browser) == wide.CLASSES[36], "the answer for the last of the values")
        assert is_in_view(browser, f"#{wide.NAMES[-1]}")
        assert is_in_view(browser, "#answer")
        browser.execute_script(BEYOND)
        until(lambda: f"{wide.NAMES[-1]}=1000 mm is outside" in find(browser, "#warnings").text, "the warnings")
        for width in (1100, 390):
            size(browser, width, 900)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            assert browser.execute_script("return document.documentElement.scrollHeight") < 4 * 900
        find(browser, "#presets button:last-child").click()
        until(lambda: answer(browser) == wide.CLASSES[-1], "the answer for a row of the last class")
        assert not find(browser, "#warnings").is_displayed()
        assert not find(browser, "#trouble").is_displayed()


def is_in_view(browser: Chrome, selector: str) -> bool:
    script = "const {top, bottom} = arguments[0].getBoundingClientRect(); return 0 <= top && bottom <= innerHeight"
    return bool(browser.execute_script(script, find(browser, selector)))


def test_no_two_elements_share_an_id(browser: Chrome, tmp_path: Path) -> None:
    files, names = flats.files(), ["a", "a-number", "a-range", "feature-0"]
    manifest = json.loads(files[MANIFEST_FILE])
    for feature, name in zip(manifest["features"], names, strict=True):
        feature["name"] = name
    files[MANIFEST_FILE] = json.dumps(manifest).encode()
    with Service(tmp_path, **cached.store(tmp_path / "cache", "flats", files=files)) as service:
        until(lambda: service.http.get("/health/ready").is_success, "the service to be ready")
        browser.get(str(service.http.base_url))
        until(lambda: find(browser, "#answer").text.endswith("%"), "the first answer")
        found = [each.get_attribute("id") for each in browser.find_elements(By.CSS_SELECTOR, "[id]")]
        assert len(set(found)) == len(found)
        labelled = [each.accessible_name for each in browser.find_elements(By.CSS_SELECTOR, "#sliders [type=range]")]
        assert [each.split(",")[0] for each in labelled] == ["A", "A-number", "A-range", "Feature-0"]


def test_the_page_has_a_select_of_several_models(
    browser: Chrome, publisher: Publisher, start: Start, mlflow_url: str
) -> None:
    grapes = Publisher(mlflow_url, f"{publisher.model_name}_grapes")
    publisher.promote(publisher.publish(forest()))
    grapes.promote(grapes.publish(forest(), lambda files: files.update(mixed.files())))
    service = start(SERVING_MODELS=f"{publisher.model_name},{grapes.model_name}")
    until(lambda: all(each["version"] for each in service.http.get("/models").json()["models"]), "both to serve")
    opened(browser, service)
    select = Select(find(browser, "#name"))
    assert [option.text for option in select.options] == [publisher.model_name, grapes.model_name]
    select.select_by_visible_text(grapes.model_name)
    until(lambda: find(browser, "h1").text == "Which kind of grape is it?", "the page to show the other model")
    until(lambda: find(browser, "#answer").text.endswith("%"), "its answer")
    assert find(browser, "#model").text.startswith(f"{grapes.model_name} version 1")
    select.select_by_visible_text(publisher.model_name)
    until(lambda: answer(browser) in SPECIES, "the answer of the first model")
    assert find(browser, "h1").text == "Which penguin is it?"


def test_the_page_begins_with_a_model_that_serves(browser: Chrome, tmp_path: Path) -> None:
    settings = cached.store(tmp_path / "cache", "flats", files=flats.files())
    with Service(tmp_path, **settings, SERVING_MODELS="penguins_rf,flats") as service:
        until(lambda: service.http.get("/models/flats").json()["model"], "the second model to serve")
        browser.get(str(service.http.base_url))
        until(lambda: find(browser, "#answer").text.endswith("%"), "the answer of the second model")
        select = Select(find(browser, "#name"))
        assert select.first_selected_option.text == "flats"
        assert not find(browser, "#trouble").is_displayed()
        select.select_by_visible_text("penguins_rf")
        until(lambda: find(browser, "#trouble").is_displayed(), "the reason why the first one has no answer")
        assert select.first_selected_option.text == "penguins_rf"


def test_missing_model_is_reported(browser: Chrome, start: Start) -> None:
    service = start()
    service.polled("no_production")
    browser.get(str(service.http.base_url))
    until(lambda: "No answer: no version of" in find(browser, "#trouble").text, "the reason")


def test_page_requests_the_key(browser: Chrome, publisher: Publisher, start: Start) -> None:
    publisher.promote(publisher.publish(forest()))
    service = start(SERVING_API_KEYS="secret")
    until(lambda: service.http.get("/health/ready").is_success, "the service to be ready")
    browser.get(str(service.http.base_url))
    field = until(lambda: (f := find(browser, "#key-value")).is_displayed() and f, "the question for the key")
    field.send_keys("secret", Keys.ENTER)
    until(lambda: answer(browser) in SPECIES, "the first answer")


def test_documentation_works_without_the_internet(browser: Chrome, service: Service) -> None:
    browser.get(str(service.http.base_url.join("/docs")))
    until(lambda: browser.find_elements(By.CSS_SELECTOR, "[data-path='/predict']"), "the operations")
    find(browser, "[data-path='/predict']").click()
    until(lambda: browser.find_elements(By.CSS_SELECTOR, "button.execute"), "the form")
    find(browser, "button.execute").click()
    texts: Any = until(lambda: browser.find_elements(By.CSS_SELECTOR, ".live-responses-table .microlight"), "an answer")
    assert '"species"' in texts[0].text
