"""What is raced: one model, data set and strategy, the grid's points, the space, and the rules of a trial."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recmodels.data import load_dataset
from tests.benchmarks.race.curves import Curves, trainer
from tests.benchmarks.race.proposers import Listed, OnGrid, Point, covering, study
from tests.benchmarks.race.simulation import Outcome, Proposer, Simulation
from tuning.space import Params, Space
from tuning.spec import Scheduler, SearchSpec

SAMPLERS = ("random", "qmc", "tpe", "gp", "gp_forecast")
NO_PRUNING = Scheduler(name="none")
MOST_TRIALS = 10_000
"""No limit: passes, or the end of the points, end a search."""


@dataclass(frozen=True)
class Method:
    """A way to search: a sampler, and whether weak trials are stopped early."""

    sampler: str
    prunes: bool

    def __str__(self) -> str:
        return f"{self.sampler}+pruning" if self.prunes else self.sampler


# Without stopped trials there is nothing to forecast.
METHODS = tuple(
    Method(sampler, prunes) for sampler in SAMPLERS for prunes in (False, True) if prunes or sampler != "gp_forecast"
)


@dataclass(frozen=True)
class Race:
    """`spec`: the strategy's space with the base fixed, the rules of a trial, and the scheduler of those that prune.

    `grid`, `authors`: spaces of points. `workers`: trials at a time. `folder`: keeps the curves.
    """

    spec: SearchSpec
    grid: Space
    authors: Space
    workers: int
    folder: Path

    def configurations(self) -> list[Params]:
        """Return the parameters of the grid's points, then those of the authors' that the grid lacks."""
        found = [space.resolve(point) for space in (self.grid, self.authors) for point in space.points]
        return [params for place, params in enumerate(found) if params not in found[:place]]

    def search(self, method: Method, sampler_seed: int, passes: int) -> Outcome:
        """Search the space by a method until so many passes are spent."""
        spec = self._spec(
            sampler=method.sampler,
            scheduler=self.spec.scheduler if method.prunes else NO_PRUNING,
            budget={"trials": MOST_TRIALS, "passes": passes},
        )
        with study(spec.space, method.sampler, sampler_seed) as proposer:
            return self._simulate(spec, proposer)

    def search_grid(self, method: Method, sampler_seed: int) -> Outcome:
        """Search the grid's points by a method until all have been tried."""
        scheduler = self.spec.scheduler if method.prunes else NO_PRUNING
        with study(covering(self.spec.space, self.grid), method.sampler, sampler_seed) as proposer:
            return self._simulate(self._points(self.grid, scheduler), OnGrid(proposer, self.grid))

    def try_points(
        self, space: Space, points: Iterable[Point], scheduler: Scheduler = NO_PRUNING, **training: int
    ) -> Outcome:
        """Try these points of a space of points, in this order; `training`: other rules of a trial than the race's."""
        spec = self._points(space, scheduler)
        changed = {"training": spec.training.model_copy(update=training)}
        return self._simulate(spec.model_copy(update=changed), Listed(list(points)))

    def train(self, params: Params, seed: int) -> Outcome:
        """Train one configuration on one seed to its end."""
        return self.try_points(Space.from_data(params), [{}], seed=seed)

    def test(self, params: Params, seed: int, epoch: int) -> dict[str, float]:
        """Return the test metrics of a configuration after its best epoch so far; for reports alone."""
        return self.curves().of(params, seed).test(epoch)

    def curves(self) -> Curves:
        """Return the race's curves; the data set is loaded once in a process."""
        spec = self.spec
        where = (self.folder, spec.model, spec.dataset, spec.data_dir, spec.strategy)
        return load_curves(*where, spec.training.metric, spec.training.cutoffs)

    def _points(self, space: Space, scheduler: Scheduler) -> SearchSpec:
        return self._spec(space=space, scheduler=scheduler, budget={"trials": MOST_TRIALS})

    def _spec(self, **changes: Any) -> SearchSpec:
        return SearchSpec.model_validate(dict(self.spec) | changes)

    def _simulate(self, spec: SearchSpec, proposer: Proposer) -> Outcome:
        return Simulation(spec, proposer, self.curves(), self.workers).run()


@lru_cache
def load_curves(
    folder: Path, model: str, dataset: str, data_dir: str | None, strategy: str, metric: str, ks: tuple[int, ...]
) -> Curves:
    """Return the curves that a folder keeps, and that are trained on a data set."""
    data = load_dataset(dataset, Path(data_dir) if data_dir else None)
    return Curves(folder, trainer(data), model, data.fingerprint, strategy, metric, ks)
