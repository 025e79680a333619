"""The pages of analyses in a real browser: every figure drawn, surfaces too, in light and dark.

Screenshots are kept: `python -m pytest tests/browser/test_analyses.py` with MIRRORTUNE_SCREENSHOTS set to a folder.
"""

from pathlib import Path
from typing import Any

import pytest

from recmodels.analysis.flatness import Reading, Task
from recmodels.analysis.landscape import scalars
from tests.browser.test_report import opened
from tests.tuning.analyses.factories import EXPORT
from tuning.analyses.fixed import Fixed
from tuning.analyses.landscape import PLACES, Landscape, Line, Planes, Surface
from tuning.analyses.landscape_page import landscape_page
from tuning.analyses.sharpness import Measured, Sharpness
from tuning.analyses.sharpness_page import sharpness_page
from tuning.analyses.subjects import Analyzed, Subject, Weights
from tuning.export import Export
from tuning.pages.content import Page
from tuning.pages.html import html_of

FIXED = Fixed(batches=10, batch_size=2048, seed=999)
PLANES = Planes("all", "row", pairs=1, points=21, reach=1.0)


def made_analyzed() -> Analyzed:
    """Two exports, one of which has a hostile name."""
    labels = ("BPR-demo-plain", "<b>&mg")
    subjects = tuple(Subject(label, Path("x.yaml"), Export.model_validate(EXPORT)) for label in labels)
    return Analyzed(None, subjects, (Weights(Path("w"), "trained again", "0123456789abcdef"),) * 2)  # type: ignore[arg-type]


def made_surface(number: int) -> Surface:
    """A bowl; the second one is half as steep, and has a hole."""
    axis = PLANES.axis
    losses: list[list[float | None]] = [[0.3 + (m**2 + 0.5 * n**2) / (number + 1) for n in axis] for m in axis]
    if number:
        losses[0][0] = None
    return Surface(number, 0, losses, 0.3, 12.0, 0.001, 3.0, 4410, scalars(axis, losses, 0.3))


def made_landscape() -> Landscape:
    losses: list[float | None] = [0.3 + t**2 * (1 - t) ** 2 for t in PLACES]
    return Landscape(FIXED, PLANES, [made_surface(0), made_surface(1)], [Line(1, "", losses, 1 / 16)])


def made_sharpness() -> Sharpness:
    found = []
    for number in (0, 1):
        for rho in (0.1, 0.5, 1.0):
            for task in (Task("adaptive", rho), Task("max", rho)):
                name = {"adaptive": "adaptive_max", "max": "max"}[task.measure]
                found.append(measured(number, task, [Reading(name, rho / (number + 1))]))
        values = [Reading(f"lambda_{place}", 3.0 / place, 1e-6) for place in (1, 2, 3)]
        found.append(measured(number, Task("lanczos"), [*values, Reading("lambda_min", -0.5, 1e-6)]))
    return Sharpness(FIXED, found, ("x: MMGCN has no trained weights of the scope ids",))


def measured(number: int, task: Task, readings: list[Reading]) -> Measured:
    return Measured(number, "all", task, readings, 0.3, 12.0, 1000, {"user_emb": 0.1}, 1.0, 10, 10)


PAGES = {
    "landscape": lambda: landscape_page(made_landscape(), made_analyzed()),
    "sharpness": lambda: sharpness_page(made_sharpness(), made_analyzed()),
}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_without_a_network(
    page: Any, kind: str, scheme: str, tmp_path: Path, screenshots: Path
) -> None:
    """A surface has its own canvas; the hostile name is text."""
    made: Page = PAGES[kind]()
    (tmp_path / "page.html").write_text(html_of(made))
    page.emulate_media(color_scheme=scheme)
    opened(page, tmp_path / "page.html")
    drawn = page.locator(".plot").evaluate_all(
        "plots => plots.map(plot => plot.querySelectorAll('.trace, .contour, .gl-container canvas').length)"
    )
    assert len(drawn) == len(made.figures) == {"landscape": 5, "sharpness": 3}[kind]
    assert all(drawn)
    assert page.locator("main b").count() == 0
    page.screenshot(path=screenshots / f"{kind}-{scheme}.png", full_page=True)


def test_verdicts_name_the_flattest_only_where_all_is_known() -> None:
    """A point without a finite loss is no evidence."""
    assert landscape_page(made_landscape(), made_analyzed()).verdict == "None is the flattest on every plane."
    assert sharpness_page(made_sharpness(), made_analyzed()).verdict == (
        "<b>&mg is the flattest by adaptive sharpness as a share of the loss, at each of 3 radii."
    )
