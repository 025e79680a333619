"""Where a simulated search gets its points from: the product's samplers, a list, or its samplers on a list."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tuning.proposals.study import Study
from tuning.records import SearchFolder, TrialPlan, TrialRecord
from tuning.space import Choice, Fixed, Range, Space
from tuning.space.distributions import Distribution

Point = Mapping[str, Any]


@contextmanager
def study(space: Space, sampler: str, seed: int) -> Iterator[Study]:
    """Yield the product's study of a space, whose journal is forgotten at the end."""
    with TemporaryDirectory() as folder:
        yield Study(SearchFolder(Path(folder)), space, sampler, seed)


class Listed:
    """Proposes the points of a list, whatever comes of them."""

    def __init__(self, points: Sequence[Point]):
        self.points = points

    def ask(self, name: str, index: int) -> dict[str, Any] | None:
        return dict(self.points[index]) if index < len(self.points) else None

    def report(self, name: str, epoch: int, best: float) -> None:
        pass

    def tell(self, record: TrialRecord) -> None:
        pass


class OnGrid:
    """Tries each of a space's points once: the nearest to what a sampler proposes, which learns where it was.

    `study`: of a space that `covering` made. `grid`: the space of points.
    """

    def __init__(self, study: Study, grid: Space):
        self.study = study
        self.left = {place: coordinates(point, study.space, grid) for place, point in enumerate(grid.points)}
        self.grid = grid
        self.running: dict[str, TrialPlan] = {}

    def ask(self, name: str, index: int) -> dict[str, Any] | None:
        if not self.left:
            return None
        proposed = self.study.ask(name, index)
        assert proposed is not None  # only a grid comes to an end
        place = min(self.left, key=lambda each: _distance(self.left[each], proposed, self.study.space))
        self._move(name, self.left.pop(place))
        return dict(self.grid.points[place])

    def report(self, name: str, epoch: int, best: float) -> None:
        self.study.report(name, epoch, best)

    def tell(self, record: TrialRecord) -> None:
        del self.running[record.trial]
        self.study.tell(record)

    def _move(self, name: str, point: Point) -> None:
        """Let the study believe that it proposed the point."""
        self.study.interrupt(name)
        self.running[name] = TrialPlan(
            trial=name,
            role="search",
            strategy="",
            params={},
            point=dict(point),
            seed=0,
            threads=1,
            device="cpu",
            time=0.0,
        )
        self.study.reconcile({}, list(self.running.values()))


def coordinates(point: Point, space: Space, grid: Space) -> dict[str, Any]:
    """Return a point of the grid in the dimensions of a space, in which a parameter may be a share of another."""
    values = {name: value for section in grid.resolve(point).values() for name, value in section.items()}
    return {p.coordinate: values[p.name] / values[p.of] if p.of else values[p.name] for p in _searched(space)}


def covering(space: Space, grid: Space) -> Space:
    """Return the space with the values of each dimension narrowed or widened to those of the grid's points."""
    points = [coordinates(point, space, grid) for point in grid.points]
    found = []
    for p in space.parameters:
        if p.coordinate in space.dimensions:
            p = replace(p, distribution=_covering(p.distribution, [point[p.coordinate] for point in points]))
        found.append(p)
    return Space(tuple(found))


def _covering(distribution: Distribution, values: Sequence[Any]) -> Distribution:
    """Return a range's part between the values, or a choice of them; the default is the nearest to what it was."""
    low, high = min(values), max(values)
    if low == high:
        return Fixed(low)
    if isinstance(distribution, Range):
        default = None if distribution.default is None else min(max(distribution.default, low), high)
        return replace(distribution, low=low, high=high, default=default)
    return Choice(tuple(dict.fromkeys(values)), distribution.default if distribution.default in values else None)


def _searched(space: Space) -> list[Any]:
    return [p for p in space.parameters if p.coordinate in space.dimensions]


def _distance(one: Point, other: Point, space: Space) -> float:
    """Return the distance of two points in a unit cube; two values of a choice are 1 apart."""
    total = 0.0
    for name, each in space.dimensions.items():
        if isinstance(each, Range):
            total += ((one[name] - other[name]) / (each.high - each.low)) ** 2
        else:
            total += one[name] != other[name]
    return total
