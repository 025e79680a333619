"""The landscapes of exports: the same planes, batches and draws for all, and lines between their minima."""

import time
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch

from recmodels.analysis.fixed_loss import Scope, scoped
from recmodels.analysis.landscape import (
    Normalisation,
    Scalars,
    barrier,
    cosine,
    direction,
    grid_axis,
    grid_row,
    line_point,
    scalars,
)
from recmodels.models import Recommender
from tuning.analyses.fixed import Advance, Fixed
from tuning.analyses.results import Results, finite
from tuning.analyses.subjects import Analyzed

Row = list[float | None]
PLACES = [round(-0.5 + 0.05 * place, 2) for place in range(41)]
"""Places on the line between two minima, which are at 0 and 1."""


@dataclass(frozen=True)
class Planes:
    """The planes that are drawn: `pairs` of random directions, each a grid of `points` x `points` within `reach`."""

    scope: Scope
    normalisation: Normalisation
    pairs: int
    points: int
    reach: float

    @property
    def axis(self) -> list[float]:
        """The values of m, and of n."""
        return grid_axis(self.points, self.reach)


@dataclass(frozen=True)
class Surface:
    """The loss of one export on one plane.

    `number`: of the export. `losses`: a row for each m, None for what is not finite. `centre`: the loss at the trained
    weights, exactly. `norm`: of the weights that move. `seconds`, `passes`: what it cost, forward passes alone.
    """

    number: int
    pair: int
    losses: list[Row]
    centre: float
    norm: float
    cosine: float
    seconds: float
    passes: int
    scalars: Scalars


@dataclass(frozen=True)
class Line:
    """The loss on the line from the first export's weights to another's, `number`, at PLACES.

    `reason`: why there is no line; "" if there is one. `barrier`: see `recmodels.analysis.landscape.barrier`.
    """

    number: int
    reason: str
    losses: Row
    barrier: float | None = None


@dataclass(frozen=True)
class Landscape:
    """All surfaces, export by export, and the lines from the first export to each other one."""

    fixed: Fixed
    planes: Planes
    surfaces: list[Surface]
    lines: list[Line]

    def of(self, number: int, pair: int = 0) -> Surface:
        """Return an export's surface on one of the planes."""
        return next(each for each in self.surfaces if (each.number, each.pair) == (number, pair))


def count_parts(analyzed: Analyzed, planes: Planes) -> int:
    """Return how often `draw_landscape` advances."""
    return len(analyzed.subjects) * planes.pairs * planes.points + len(analyzed.subjects) - 1


def draw_landscape(
    analyzed: Analyzed, fixed: Fixed, planes: Planes, results: Results, advance: Advance = lambda: None
) -> Landscape:
    """Compute what `results` has not yet, a row of a grid or a line at a time, and return the whole."""
    surfaces = []
    for number in range(len(analyzed.subjects)):
        surfaces += _surfaces(analyzed, number, fixed, planes, results, advance)
    lines = []
    for number in range(1, len(analyzed.subjects)):
        lines.append(_line(analyzed, number, fixed, results))
        advance()
    return Landscape(fixed, planes, surfaces, lines)


def _surfaces(
    analyzed: Analyzed, number: int, fixed: Fixed, planes: Planes, results: Results, advance: Advance
) -> list[Surface]:
    key = {"digest": analyzed.weights[number].digest, **asdict(fixed)}
    of_row = key | {name: getattr(planes, name) for name in ("scope", "normalisation", "points", "reach")}
    keys = {(pair, m): of_row | {"pair": pair, "m": m} for pair, m in product(range(planes.pairs), planes.axis)}
    if missing := [place for place, each in keys.items() if results.find(each) is None]:
        model = analyzed.model(number)
        with fixed.loss(model, analyzed.data, planes.scope) as loss:
            centre = loss()
            for pair in sorted({pair for pair, _ in missing}):
                one, other = (direction(loss, planes.normalisation, fixed.seed, pair, side) for side in ("m", "n"))
                both = {"centre": finite(centre), "norm": loss.norm, "cosine": cosine(one, other)}
                for m in (m for found, m in missing if found == pair):
                    start, before = time.perf_counter(), loss.counts.forward
                    losses = [finite(value) for value in grid_row(loss, one, other, m, planes.axis)]
                    cost = {"seconds": time.perf_counter() - start, "passes": loss.counts.forward - before}
                    results.keep(keys[pair, m], {"losses": losses, **both, **cost})
                    advance()
    for _ in range(len(keys) - len(missing)):
        advance()
    return [
        _surface(number, pair, planes, [results.find(keys[pair, m]) for m in planes.axis])
        for pair in range(planes.pairs)
    ]


def _surface(number: int, pair: int, planes: Planes, rows: list[Any]) -> Surface:
    losses, first = [row["losses"] for row in rows], rows[0]
    return Surface(
        number,
        pair,
        losses,
        first["centre"],
        first["norm"],
        first["cosine"],
        sum(row["seconds"] for row in rows),
        sum(row["passes"] for row in rows),
        scalars(planes.axis, losses, first["centre"]),
    )


def _line(analyzed: Analyzed, number: int, fixed: Fixed, results: Results) -> Line:
    ends = [analyzed.weights[place].digest for place in (0, number)]
    key = {"line": ends, **asdict(fixed)}
    if (found := results.find(key)) is None:
        first, other = analyzed.model(0), analyzed.model(number)
        if reason := _apart(analyzed, number, first, other):
            return Line(number, reason, [])
        end = torch.cat([each.detach().flatten() for each in scoped(other, "all").values()])
        with fixed.loss(first, analyzed.data, "all") as loss:
            found = results.keep(key, [finite(line_point(loss, end, t)) for t in PLACES])
    return Line(number, "", found, barrier(PLACES, found))


def _apart(analyzed: Analyzed, number: int, first: Recommender, other: Recommender) -> str:
    """Return why two exports have no line between them: one loss has to hold on all of it."""
    one, two = (analyzed.subjects[place].export for place in (0, number))
    if one.model != two.model:
        return f"{one.model} and {two.model} are different models"
    values = [export.parameters["model"] for export in (one, two)]
    told = [
        f"{name} {' and '.join(str(each.get(name, 'by default')) for each in values)}"
        for name in dict.fromkeys([*values[0], *values[1]])
        if values[0].get(name) != values[1].get(name)
    ]
    if told:
        return f"their losses may differ: {', '.join(told)}"
    trained, states = scoped(first, "all"), [each.state_dict() for each in (first, other)]
    for name, value in states[0].items():
        if name not in trained and value.is_floating_point() and not torch.equal(value, states[1][name]):
            return f"{name} does not train, and differs"
    return ""
