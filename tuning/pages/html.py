"""A page as one HTML file: styles, scripts and Plotly are in it, and it asks no network for anything."""

import json
import math
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tuning.pages.content import Figure, Page

DIGITS = 5
"""Significant digits of numbers in figures; more would not be seen."""


def html_of(page: Page) -> str:
    """Return the text of the file. All text of the page is escaped."""
    environment = Environment(
        loader=PackageLoader("tuning.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def source(name: str) -> Markup:
        return Markup(environment.loader.get_source(environment, name)[0])  # type: ignore[union-attr]

    return environment.get_template("page.html").render(
        page=page,
        style=source("page.css"),
        script=source("page.js"),
        plotly=Markup(get_plotlyjs()),
        figures=Markup(script_json([_figure(each) for each in page.figures])),
    )


def script_json(content: Any) -> str:
    """Return JSON that no HTML parser takes for anything but the content of a script."""
    text = json.dumps(short(content), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def short(content: Any) -> Any:
    """Return plain data with numbers of DIGITS significant digits, None for what is no finite number."""
    if isinstance(content, dict):
        return {str(key): short(value) for key, value in content.items()}
    if isinstance(content, str | bool | int) or content is None:
        return content
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}") if math.isfinite(content) else None
    return [short(value) for value in content]


def _figure(figure: Figure) -> dict[str, Any]:
    plot = figure.plot.to_plotly_json()
    plot["layout"].pop("template", None)  # 7 KB of defaults; the page has its own
    views = [{"label": view.label, "title": view.title, "x": view.x} for view in figure.views]
    return {"name": figure.name, "data": plot["data"], "layout": plot["layout"], "views": views}
