"""The page of a robustness analysis in a real browser."""

from pathlib import Path
from typing import Any

from tests.browser.test_report import opened, sizes_of_figures
from tests.tuning.analyses.robust_factories import analysis, exports
from tuning.analyses.robustness_page import robustness_page
from tuning.pages.html import html_of


def test_every_curve_is_drawn_without_a_network(page: Any, tmp_path: Path, screenshots: Path) -> None:
    found = analysis(tmp_path / "points", target=16.9)
    made = robustness_page(found, exports("GRCN", "BM3"), ["the search s", "a file"], "python run_search.py ...")
    file = tmp_path / "robustness.html"
    file.write_text(html_of(made), encoding="utf-8")
    opened(page, file)
    sizes = sizes_of_figures(page)
    assert len(sizes) == len(made.figures) == 4
    assert all(width > 800 and height > 300 for width, height in sizes)
    lines = page.locator(".plot").evaluate_all("plots => plots.map(p => p.querySelectorAll('.scatter.trace').length)")
    assert lines == [2, 2, 2, 2]
    assert "Not applicable to BM3" in page.locator("#measure-1").inner_text()
    page.screenshot(path=screenshots / "robustness.png", full_page=True)
