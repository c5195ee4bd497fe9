"""The pages in a real browser: headless Chromium where there is one, driven by selenium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.conftest import MakePairs, photograph
from PIL import Image

from restorect_cli.bench.benchmark import Benchmark, Order
from restorect_cli.bench.compare import compare
from restorect_cli.bench.report import write_report
from restorect_cli.engine.options import RestoreOptions

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no Chromium with its chromedriver on the path (Debian: apt install chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1000,1400",
        "--disable-dev-shm-usage",
    ):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options, service=selenium.ChromeService(DRIVER))
    driver.set_page_load_timeout(120)
    yield driver
    driver.quit()


def requested(browser: Any) -> list[str]:
    """Addresses asked for since the last call, what the page holds and the browser's own pages left out."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]
    return [address for address in asked if not address.startswith(("data:", "file:", "chrome:", "chrome-"))]


def numbers(browser: Any, column: int) -> list[float]:
    rows = browser.find_elements("css selector", "section .tall tbody tr")
    return [float(row.find_elements("css selector", "td")[column].get_attribute("data-value")) for row in rows]


def test_report(browser: Any, make_pairs: MakePairs, tmp_path: Path) -> None:
    order = Order(
        datasets=[str(make_pairs())],
        task="denoise",
        baselines=["lime"],
        restore=RestoreOptions(device="cpu", threads=1),
    )
    write_report(Benchmark(order).run(), tmp_path / "report.html")
    browser.get(f"file://{tmp_path}/report.html")

    heading = browser.find_elements("css selector", "section .tall th")[4]  # PSNR
    heading.find_element("css selector", "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers(browser, 4) == sorted(numbers(browser, 4)) and len(set(numbers(browser, 4))) > 2
    heading.find_element("css selector", "button").send_keys("\n")
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(browser, 4) == sorted(numbers(browser, 4), reverse=True)

    assert len(browser.find_elements("css selector", "svg use")) >= 9
    check_phone(browser)
    check_slider(browser)
    assert requested(browser) == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_comparison(browser: Any, tmp_path: Path) -> None:
    for number, name in enumerate(("a <b>.png", "b.png")):
        Image.fromarray(photograph(300, 400, seed=number)).save(tmp_path / name)
    compare(tmp_path / "a <b>.png", tmp_path / "b.png", tmp_path / "both.html")
    browser.get(f"file://{tmp_path}/both.html")
    assert "a <b>.png" in browser.title
    assert len({image.get_attribute("src") for image in browser.find_elements("css selector", "img")}) == 2
    check_slider(browser)
    assert requested(browser) == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def check_phone(browser: Any) -> None:
    """On a narrow screen nothing but tables and pictures scrolls sideways, and text in plots stays readable."""
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    drawn_px = browser.execute_script(
        "return [...document.querySelectorAll('svg text')].map((text) => text.getBoundingClientRect().height)"
    )
    assert min(drawn_px) >= 10
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_tall_picture_is_seen_whole(browser: Any, tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        Image.fromarray(photograph(1500, 300, seed=number)).save(tmp_path / f"{name}.png")
    compare(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "both.html")
    browser.get(f"file://{tmp_path}/both.html")
    view, stage = (browser.find_element("css selector", part) for part in (".view", ".stage"))
    assert stage.size["height"] <= view.size["height"] and stage.size["height"] > 3 * stage.size["width"]


def check_slider(browser: Any) -> None:
    from selenium.webdriver import ActionChains

    slider = browser.find_element("css selector", ".slider")
    handle, stage = (slider.find_element("css selector", part) for part in (".handle", ".stage"))
    before, after = (slider.find_element("css selector", f"img.{side}") for side in ("before", "after"))
    assert all(int(image.get_attribute("naturalWidth")) > 0 for image in (before, after))

    def at() -> float:
        return float(handle.get_attribute("aria-valuenow"))

    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    assert at() == 50
    ActionChains(browser).click_and_hold(handle).move_by_offset(stage.size["width"] // 4, 0).release().perform()
    assert at() == pytest.approx(75, abs=2)
    assert after.value_of_css_property("clip-path").startswith(f"inset(0px 0px 0px {at():g}%")
    handle.send_keys("\ue012")  # left
    assert at() == pytest.approx(73, abs=2)
    handle.send_keys("\ue011")  # home
    assert at() == 0
    touch(browser, handle, stage.size["width"] // 2)
    assert at() == pytest.approx(50, abs=3)

    fit, one, two = slider.find_elements("css selector", "[data-zoom]")[:3]
    fitted = stage.size["width"]
    two.click()
    assert stage.size["width"] == 2 * int(before.get_attribute("naturalWidth")) != fitted
    handle.send_keys("-")
    assert one.get_attribute("aria-pressed") == "true" and fit.get_attribute("aria-pressed") == "false"
    fit.click()
    assert stage.size["width"] == fitted


def touch(browser: Any, element: Any, shift_px: int) -> None:
    """A finger that drags the element sideways."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    actions = ActionBuilder(browser, mouse=PointerInput("touch", "finger"))
    finger = actions.pointer_action
    finger.move_to(element).pointer_down().move_by(shift_px, 0).pointer_up()
    actions.perform()
