"""The page of results in a real browser: every figure drawn, tables sorted, in light and dark, on a phone and on paper.

Screenshots are kept: `python -m pytest tests/browser/test_report.py` with MIRRORTUNE_SCREENSHOTS set to a folder.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.pages.factories import made_experiment, made_search, made_spec
from tuning.pages import page_of, write_page


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = made_experiment(tmp_path_factory.mktemp("made"), trials=32, epochs=20)
    write_page(path)
    return path / "report.html"


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of many trials, one of which failed with a hostile reason."""
    path = made_search(made_spec(tmp_path_factory.mktemp("made"), "large"), trials=150, epochs=6)
    write_page(path)
    return path / "report.html"


def opened(page: Any, file: Path) -> Any:
    """The page, which asked for nothing but its file."""
    asked: list[str] = []
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    return page


def sizes_of_figures(page: Any) -> list[tuple[float, float]]:
    """Width and height of the drawing of each figure."""
    drawing = "plot.querySelector('.main-svg').getBoundingClientRect()"
    script = f"plots => plots.map(plot => {drawing}).map(box => [box.width, box.height])"
    return [tuple(size) for size in page.locator(".plot").evaluate_all(script)]


@pytest.mark.parametrize("file", ["experiment", "search"])
def test_every_figure_is_drawn_without_a_network(
    page: Any, file: str, request: pytest.FixtureRequest, screenshots: Path
) -> None:
    path = request.getfixturevalue(file)
    opened(page, path)
    sizes = sizes_of_figures(page)
    assert len(sizes) == len(page_of(path.parent).figures) >= 6
    assert all(width > 800 and height > 300 for width, height in sizes)
    traces = page.locator(".plot").evaluate_all("plots => plots.map(p => p.querySelectorAll('.trace, .bars').length)")
    assert all(traces)
    page.screenshot(path=screenshots / f"report-{file}-top.png")


def test_the_verdict_comes_first_and_headings_have_one_level_each(page: Any, experiment: Path) -> None:
    opened(page, experiment)
    assert page.locator("h1").count() == 1
    assert page.locator("main section h2").first.inner_text().lower() == "verdict"
    assert "better than plain" in page.locator(".verdict").inner_text()
    assert page.locator("header, nav, main, footer").count() == 4
    for plot in page.locator(".plot").all():
        assert plot.get_attribute("aria-label")
        assert page.locator(f"#{plot.get_attribute('aria-describedby')}").inner_text()


def test_a_table_is_sorted_by_a_click_and_by_a_key(page: Any, experiment: Path) -> None:
    opened(page, experiment)
    heading = page.locator("#trials th", has_text="valid recall@20")
    button, cells = heading.locator("button"), page.locator("#trials tbody tr td:nth-child(8)")
    assert heading.get_attribute("aria-sort") is None
    button.click()
    found = [float(text) for text in cells.all_inner_texts() if text != "-"]
    assert heading.get_attribute("aria-sort") == "descending"
    assert len(found) == 64
    assert found == sorted(found, reverse=True)
    button.focus()
    page.keyboard.press("Enter")
    found = [float(text) for text in cells.all_inner_texts()]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert found == sorted(found)
    page.locator("#trials th", has_text="test recall@20").locator("button").click()
    last = page.locator("#trials tbody tr td:last-child").all_inner_texts()
    assert last[0] != "-"
    assert last[2:] == ["-"] * 62  # cells without a value are behind the others
    assert heading.get_attribute("aria-sort") is None


def test_curves_switch_between_passes_and_epochs(page: Any, experiment: Path) -> None:
    opened(page, experiment)
    epochs = page.locator("#curves .switch button", has_text="epochs")
    title = page.locator("#plot-curves .xtitle")
    assert title.text_content() == "passes"
    epochs.focus()
    page.keyboard.press("Space")
    assert epochs.get_attribute("aria-pressed") == "true"
    assert title.text_content() == "epochs"
    assert page.evaluate("document.getElementById('plot-curves').data[0].x.slice(0, 3)") == [1, 2, 3]


def test_figures_follow_the_dark_scheme(page: Any, experiment: Path, screenshots: Path) -> None:
    def colors() -> tuple[str, str]:
        style = "getComputedStyle(document.body).backgroundColor"
        return page.evaluate(style), page.evaluate("document.getElementById('plot-curves').data[0].line.color")

    page.emulate_media(color_scheme="dark")
    opened(page, experiment)
    dark = colors()
    page.screenshot(path=screenshots / "report-dark.png", full_page=True)
    page.emulate_media(color_scheme="light")
    light = colors()
    assert dark == ("rgb(20, 24, 28)", "#e8ebee")
    assert light == ("rgb(252, 252, 250)", "#1d2329")


def test_a_phone_scrolls_tables_and_not_the_page(page: Any, experiment: Path, screenshots: Path) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    opened(page, experiment)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.locator("#trials .scroll").evaluate("box => box.scrollWidth > box.clientWidth")
    assert all(250 < width <= 375 for width, _ in sizes_of_figures(page))
    page.screenshot(path=screenshots / "report-phone.png", full_page=True)


def test_paper_is_light_and_cuts_no_figure(page: Any, experiment: Path, screenshots: Path) -> None:
    page.emulate_media(color_scheme="dark")
    opened(page, experiment)
    file = screenshots / "report.pdf"
    page.pdf(path=file, format="A4")
    pages = len(re.findall(rb"/Type\s*/Page\b", file.read_bytes()))
    assert 5 <= pages <= 30
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 less the margins
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.getElementById('plot-curves').data[0].line.color") == "#1d2329"
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert all(width == 640 for width, _ in sizes_of_figures(page))
    assert page.locator("figure").first.evaluate("figure => getComputedStyle(figure).breakInside") == "avoid"
    page.screenshot(path=screenshots / "report-paper.png", full_page=True)


def test_a_page_that_is_renewed_comes_back_at_the_same_place(page: Any, tmp_path: Path) -> None:
    path = made_search(made_spec(tmp_path, "s"), trials=8, running=1)
    write_page(path, running=True, renewed=1)
    opened(page, path / "report.html")
    assert "loads itself again every 1 s" in page.locator("footer").inner_text()
    page.evaluate("scrollTo(0, 1500)")
    with page.expect_navigation():
        pass
    page.wait_for_function("scrollY === 1500")
    write_page(path)
    with page.expect_navigation():
        pass
    assert "loads itself" not in page.locator("footer").inner_text()
