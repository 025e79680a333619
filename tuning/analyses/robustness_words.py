"""What a robustness analysis found, in sentences and in one short table, for the terminal and for the page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuning.analyses.robustness import Calibration, Comparison, Robustness
from tuning.reports.tables import Column, shown


@dataclass(frozen=True)
class Line:
    """A model under a measure at the level that short tables show; area, half and slope sum up the whole curve.

    `interval`: of the drop. `wins`: whether its perturbed metric is the highest.
    """

    measure: str
    export: str
    clean: float
    perturbed: float
    drop: float | None
    interval: tuple[float, float] | None
    area: float | None
    half: float | None
    slope: float | None
    applies: bool
    wins: bool


def lines(found: Robustness) -> list[Line]:
    """Return a line for each measure and model."""
    return [line for each in found.comparisons for line in _of(each, each.measure.name)] + list(_calibrated(found))


def _of(comparison: Comparison, name: str, summed_up: bool = True) -> Iterator[Line]:
    place = comparison.reference
    best = comparison.winner(place) if len(comparison.curves) > 1 and comparison.reaches else None
    for number, curve in enumerate(comparison.curves):
        low, high = (float(each) for each in comparison.intervals.drops[number, place])
        drop, summary = curve.drop(place), curve.summary if summed_up else None
        yield Line(
            f"{name} {comparison.levels[place]:.4g}",
            curve.label,
            curve.clean,
            curve.value(place),
            drop,
            None if drop is None else (low, high),
            summary.area if summary else None,
            summary.half if summary else None,
            summary.slope if summary else None,
            curve.applies,
            number == best,
        )


def _calibrated(found: Robustness) -> Iterator[Line]:
    if found.calibration:
        for each in (found.calibration.relative, found.calibration.absolute):
            if each:
                yield from _of(each, f"{each.measure.name}, calibrated:", summed_up=False)


def columns(metric: str) -> list[Column[Line]]:
    """Return the columns of the table of lines."""
    percent = "{:.2f}".format

    def drop(line: Line) -> str | None:
        if not line.applies:
            return "not applicable"
        if line.drop is None or line.interval is None:
            return None
        return f"{percent(line.drop)} [{percent(line.interval[0])}, {percent(line.interval[1])}]"

    return [
        Column("measure and level", lambda line: line.measure, str, "left"),
        Column("export", lambda line: line.export, str, "left"),
        Column(metric, lambda line: line.clean, "{:.4f}".format),
        Column("perturbed", lambda line: f"{'* ' * line.wins}{line.perturbed:.4f}", str),
        Column("drop %, 95 % interval", drop, str),
        Column("area", lambda line: line.area, percent),
        Column("half at", lambda line: line.half, "{:.3g}".format),
        Column("slope", lambda line: line.slope, "{:.3g}".format),
    ]


def verdicts(found: Robustness) -> list[str]:
    """Return who has the highest perturbed metric, and whom a measure does not reach: a sentence for each measure."""
    told = [_verdict(each, found.settings.metric) for each in found.comparisons]
    told += [_without_features(each) for each in found.comparisons if each.measure.name == "missing" and each.reaches]
    return [*filter(None, told), *([_calibration(found.calibration, found)] if found.calibration else [])]


def _without_features(missing: Comparison) -> str:
    """Return how much models use the features at all: one that ignores them looks perfectly robust to edits."""
    if 1.0 not in missing.levels:
        return ""
    place = missing.levels.index(1.0)
    drops = "; ".join(_drop(missing, number, place) for number in range(len(missing.curves)))
    return f"How much features matter at all, with those of every item missing: {drops}."


def _verdict(comparison: Comparison, metric: str) -> str:
    place, title = comparison.reference, f"{comparison.measure.name} at {comparison.levels[comparison.reference]:g}"
    reached = [number for number, curve in enumerate(comparison.curves) if curve.applies]
    without = [curve.label for curve in comparison.curves if not curve.applies]
    note = f"; not applicable to {', '.join(without)}, whose scores do not depend on it" if without else ""
    if not comparison.reaches:
        return f"{title}: not applicable, as the scores of {', '.join(without)} do not depend on it."
    dropped = "; ".join(_drop(comparison, number, place) for number in reached)
    if len(comparison.curves) == 1:
        return f"{title}: drop of {metric}: {dropped}."
    return f"{title}: {_highest(comparison, place, metric)}; drops: {dropped}{note}."


def _drop(comparison: Comparison, number: int, place: int) -> str:
    """Return the drop of a model, with the interval of its difference to the first model's."""
    curve = comparison.curves[number]
    if (drop := curve.drop(place)) is None:
        return f"{curve.label} n/a"
    low, high = (float(each) for each in comparison.intervals.against[number, place])
    beside = f" (95 % interval of the difference {low:+.2f} to {high:+.2f})" if number and low == low else ""
    return f"{curve.label} {drop:.2f} %{beside}"


def _highest(comparison: Comparison, place: int, metric: str) -> str:
    """Return who has the highest perturbed metric, against the first model, or the first one against the second."""
    best = comparison.winner(place)
    values = [curve.value(place) for curve in comparison.curves]
    other = 0 if best else max(range(1, len(values)), key=values.__getitem__)
    gap = values[best] - values[other]
    low, high = (float(each) for each in comparison.intervals.values[best or other, place])
    if not best:  # intervals are of a model less the first one
        low, high = -high, -low
    clear = "" if low > 0 or high < 0 else ", which does not tell them apart"
    return (
        f"{comparison.curves[best].label} has the highest {metric}, {values[best]:.4f}, {shown(gap)} above "
        f"{comparison.curves[other].label} (95 % interval {shown(low)} to {shown(high)}{clear})"
    )


def _calibration(calibration: Calibration, found: Robustness) -> str:
    first, metric = found.labels[0], found.settings.metric
    if calibration.level is None or calibration.relative is None:
        return f"No noise was found by which {first} loses {calibration.target:g} % of its {metric}."
    drops = "; ".join(_drop(calibration.relative, number, 1) for number in range(len(calibration.relative.curves)))
    return (
        f"At the relative noise {calibration.level:.4g}, by which {first} loses as much as the paper's plain BM3 "
        f"({calibration.target:g} %): {drops}."
    )


def count(words: Sequence[object], one: str) -> str:
    """Return a number with its noun, such as "2 exports"."""
    return f"{len(words)} {one}{'s' * (len(words) != 1)}"
