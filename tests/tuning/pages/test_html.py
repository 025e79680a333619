"""A page as one file: everything inside, all text escaped, numbers no longer than they look."""

import json
import math
import re
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from tuning.pages.content import Figure, Heading, Links, Listing, Notes, Page, Section, Table, Text, Tile
from tuning.pages.html import html_of, script_json, short

HOSTILE = "</script><script>alert('x')</script>\" onload=\"alert(1)"
FIGURE = Figure("f", HOSTILE, HOSTILE, go.Figure(go.Scatter(x=[1, 2], y=[0.1, math.nan], name="fine")))


def page(*parts: object, **changes: object) -> Page:
    section = Section("s", HOSTILE, parts)  # type: ignore[arg-type]
    usual = {"title": HOSTILE, "subtitle": HOSTILE, "verdict": HOSTILE, "evidence": (HOSTILE,), "made": "now"}
    return Page(**usual | {"tiles": (Tile(HOSTILE, HOSTILE),), "sections": (section,)} | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def html() -> str:
    table = Table(HOSTILE, (Heading(HOSTILE, True),), ((HOSTILE,),), sortable=True)
    links = Links(HOSTILE, ((HOSTILE, "../a/report.html"),))
    return html_of(page(FIGURE, table, links, Text(HOSTILE), Notes((HOSTILE,)), Listing(HOSTILE, HOSTILE, folded=True)))


class Tags(HTMLParser):
    """The start tags of a document and the names of their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def test_all_text_is_escaped(html: str) -> None:
    found = Tags(html)
    assert found.tags.count("script") == 3  # the data of the figures, Plotly, and the page's own
    assert "onload" not in found.attributes
    assert "aria-label" in found.attributes


def test_the_file_asks_no_network_for_anything(html: str) -> None:
    own = re.sub(r"^<script>/\*\*.*?</script>$", "", html, flags=re.MULTILINE | re.DOTALL)  # Plotly names addresses
    assert len(own) < 100_000 < len(html)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", own)
    assert "default-src 'none'" in html
    assert len(html) < 6_000_000


def test_the_data_of_figures_end_no_script() -> None:
    text = script_json({"name": HOSTILE, "line": "a\u2028b"})
    assert "<" not in text
    assert json.loads(text) == {"name": HOSTILE, "line": "a\u2028b"}


def test_numbers_are_short_and_finite() -> None:
    found = short({"x": [0.123456789, math.nan, math.inf, 1_234_567, True], "y": (1e-12 / 3,)})
    assert found == {"x": [0.12346, None, None, 1_234_567, True], "y": [3.3333e-13]}


def test_a_page_that_is_renewed_says_so() -> None:
    assert 'data-renewed="30' in html_of(page(renewed=30.0))
    assert "data-renewed" not in html_of(page()).split("<style>")[0]


def test_every_figure_has_a_place_a_name_and_a_caption(html: str) -> None:
    assert 'id="plot-f"' in html
    assert 'aria-describedby="caption-f"' in html
    assert 'id="caption-f"' in html
