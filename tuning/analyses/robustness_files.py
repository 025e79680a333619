"""The files of a robustness analysis for programs: a row for each draw as CSV, and everything as JSON."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from recmodels.analysis.drops import drop
from recmodels.analysis.measures import REBUILT
from recmodels.analysis.robustness import Point
from tuning.analyses.robustness import Comparison, Curve, Robustness
from tuning.export import Export
from tuning.records.environment import versions


def csv_text(found: Robustness, exports: Sequence[Export], digests: Sequence[str]) -> str:
    """Return a table with a row for each model, measure, level and draw, and every metric before and after."""
    settings, names = found.settings, list(found.comparisons[0].curves[0].points[0].metrics[0])
    text = io.StringIO()
    head = ["export", "model", "dataset", "strategy", "reconstruction", "optimizer", "training seed", "weights"]
    head += ["split", "seed", "measure", "mode", "level", "draw", "applies", "altered items", "sizes", "seconds"]
    metrics = [f"{kind} {name}" for name in names for kind in ("clean", "perturbed", "drop")]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, *metrics])
    for name, comparison in _tables(found):
        for curve, export, digest in zip(comparison.curves, exports, digests, strict=True):
            own = [curve.label, export.model, export.dataset, export.strategy, export.reconstruction]
            own += [export.parameters["train"].get("optimizer"), export.seed, digest, settings.split, settings.seed]
            for level, point in zip(curve.levels, curve.points, strict=True):
                for draw, values in enumerate(point.metrics):
                    sizes = " ".join(f"{table}={size:.8g}" for table, size in point.sizes.items())
                    row = [name, mode(curve), level, draw, curve.applies, point.altered[draw], sizes, point.seconds]
                    clean = curve.points[0].metrics[0]
                    for metric in names:
                        row += [clean[metric], values[metric], drop(clean[metric], values[metric])]
                    writer.writerow([*own, *row])
    return text.getvalue()


def json_text(found: Robustness, exports: Sequence[Export], digests: Sequence[str], sources: Sequence[str]) -> str:
    """Return everything that was found, without the metrics of each user."""
    settings = found.settings
    content = {
        "what": "robustness of exported configurations",
        "settings": {
            "metric": settings.metric,
            "split": settings.split,
            "seed": settings.seed,
            "repeats": settings.repeats,
            "measures": {each.name: list(levels) for each, levels in settings.measures},
        },
        "exports": [
            {
                "label": label,
                "model": export.model,
                "dataset": export.dataset,
                "strategy": export.strategy,
                "reconstruction": export.reconstruction,
                "optimizer": export.parameters["train"].get("optimizer"),
                "seed": export.seed,
                "search": export.search.name,
                "weights": {"digest": digest, "source": source},
            }
            for label, export, digest, source in zip(found.labels, exports, digests, sources, strict=True)
        ],
        "comparisons": [{"name": name, **_comparison(each)} for name, each in _tables(found)],
        "calibration": found.calibration
        and {each: getattr(found.calibration, each) for each in ("target", "level", "sigma")},
        "versions": versions(),
    }
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def mode(curve: Curve) -> str:
    """Return how a measure was made: relative or absolute noise, or the graph of items that edited features met."""
    if curve.measure.kind.endswith("embedding"):
        return "absolute" if curve.measure.name.endswith("absolute") else "relative"
    return "graph rebuilt" if curve.measure.name.endswith(REBUILT) else "graph frozen"


def _tables(found: Robustness) -> list[tuple[str, Comparison]]:
    tables = [(each.measure.name, each) for each in found.comparisons]
    if found.calibration:
        both = (found.calibration.relative, found.calibration.absolute)
        tables += [(f"{each.measure.name}, calibrated", each) for each in both if each]
    return tables


def _comparison(comparison: Comparison) -> dict[str, Any]:
    intervals = comparison.intervals
    return {
        "measure": comparison.measure.name,
        "title": comparison.measure.title,
        "unit": comparison.measure.unit,
        "curves": [
            {
                "label": curve.label,
                "mode": mode(curve),
                "applies": curve.applies,
                "clean": curve.points[0].metrics[0],
                "summary": curve.summary and asdict(curve.summary),
                "levels": [
                    {
                        "level": level,
                        "perturbed": curve.value(place),
                        "drop": curve.drop(place),
                        "deviation": curve.deviation(place),
                        "interval": intervals.drops[number, place].tolist(),
                        "drop less the first's": intervals.against[number, place].tolist(),
                        "metric less the first's": intervals.values[number, place].tolist(),
                        "highest": comparison.winner(place) == number,
                        "altered": list(curve.points[place].altered),
                        "sizes": curve.points[place].sizes,
                        "edited": _edited(curve.points[place]),
                        "seconds": curve.points[place].seconds,
                        "evaluations": len(curve.points[place].metrics),
                        "metrics": list(curve.points[place].metrics),
                    }
                    for place, level in enumerate(curve.levels)
                ],
            }
            for number, curve in enumerate(comparison.curves)
        ],
    }


def _edited(point: Point) -> dict[str, Any] | None:
    return None if point.edited is None else asdict(point.edited)


def _finite(content: Any) -> Any:
    """Return plain data with None for what is no finite number."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
