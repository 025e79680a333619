"""The plan of an overview as one checked value, and the equal shares of a budget.

searches/NAME/                overview.yaml, pairs.jsonl (how each pair ended), overview.md, .tex, .csv, .json
searches/NAME-MODEL-DATASET/  the experiment of a pair, an ordinary one, with its searches beside it
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field

from recmodels.errors import UserError
from recmodels.files import write_whole
from recmodels.metric import Metric
from tuning.checked_file import File, Part
from tuning.experiments.experiment import Experiment
from tuning.spec import Budget, CheckedMetric

FILE = "overview.yaml"
COMPANIONS = ("recall", "ndcg")
"""Metrics that a table has by default, beside the one that decides."""
Options = dict[str, bool | int | float | str | list[str] | None]
"""Options of the command line by their names, as they were given."""


class PlannedPair(Part):
    """A model on a data set.

    `options`: those of the command line by which the experiment was made. `experiment`: as it was planned; once it has
    begun, its own folder says how it goes on.
    """

    options: Annotated[Options, Field(default_factory=dict)]
    experiment: Experiment

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def model(self) -> str:
        return self.experiment.searches[0].model

    @property
    def dataset(self) -> str:
        return self.experiment.searches[0].dataset

    @property
    def data(self) -> tuple[str, str | None, str | None]:
        """What decides which data are loaded: the name of the data set, its folder and the cache."""
        spec = self.experiment.searches[0]
        return spec.dataset, spec.data_dir, spec.cache_dir

    def __str__(self) -> str:
        return f"{self.model} on {self.dataset}"


class Overview(File):
    """The pairs of an overview, in the order in which they were asked for.

    `metrics`: of the table; none: `shown_metrics` chooses. `options`: of the command line that began it, which hold for
    pairs that are added as well. `shares`: number of pairs that the budget of these options was divided by; 0: each
    search has the whole of it.
    """

    what: ClassVar = "an overview"

    name: str
    metrics: tuple[CheckedMetric, ...] = ()
    options: Annotated[Options, Field(default_factory=dict)]
    shares: Annotated[int, Field(ge=0)] = 0
    pairs: Annotated[list[PlannedPair], Field(min_length=1)]

    @property
    def output_dir(self) -> str:
        return self.pairs[0].experiment.searches[0].output_dir

    @property
    def folder(self) -> Path:
        return Path(self.output_dir) / self.name

    @property
    def shown_metrics(self) -> tuple[Metric, ...]:
        """The metrics of the table: those asked for, else each that decides, with recall and ndcg at its k."""
        if self.metrics:
            return tuple(map(Metric, self.metrics))
        found = dict.fromkeys(pair.experiment.metric for pair in self.pairs)
        beside = (Metric(f"{name}@{metric.k}") for metric in found for name in COMPANIONS)
        return tuple(dict.fromkeys([*found, *beside]))

    def pair(self, model: str, dataset: str) -> PlannedPair | None:
        """Return the pair of a model and a data set; None if the overview has none."""
        return next((pair for pair in self.pairs if (pair.model, pair.dataset) == (model, dataset)), None)

    def by_data(self, pairs: Iterable[PlannedPair]) -> list[list[PlannedPair]]:
        """Return some of its pairs by data set, so that each is loaded once, data sets in the order of the overview."""
        groups: dict[tuple[str, str | None, str | None], list[PlannedPair]] = {pair.data: [] for pair in self.pairs}
        for pair in pairs:
            groups[pair.data].append(pair)
        return [group for group in groups.values() if group]

    def write(self) -> None:
        """Write the plan into its folder."""
        write_whole(self.folder / FILE, self.to_yaml())

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Read the plan in a folder, which may have been moved. UserError."""
        overview, place = cls.read(folder / FILE), {"output_dir": str(folder.parent)}
        pairs = []
        for pair in overview.pairs:
            searches = [spec.model_copy(update=place) for spec in pair.experiment.searches]
            moved = pair.experiment.model_copy(update={"searches": searches})
            pairs.append(pair.model_copy(update={"experiment": moved}))
        return overview.model_copy(update={"pairs": pairs})

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Return whether a folder has an overview."""
        return (folder / FILE).exists()


SHARED = {"trials": int, "seconds": float, "epochs": int, "passes": int}
"""Parts of a budget -> what a share of it is."""


def with_share(experiment: Experiment, pairs: int, given: Iterable[str]) -> Experiment:
    """Return the experiment whose searches have equal shares of a budget for all searches of `pairs` such experiments.

    `given`: the parts of the budget that are shared. What does not divide evenly is left over: no pair gets more than
    another. UserError if a search would get nothing.
    """
    count = pairs * len(experiment.searches)

    def share(part: str, whole: float) -> float:
        found = SHARED[part](whole / count)
        if not found:
            raise UserError(
                f"--share-budget: {part} {whole:g} for {pairs} pairs of {len(experiment.searches)} searches: "
                f"expected at least {count}"
            )
        return found

    parts = list(given)
    searches = []
    for spec in experiment.searches:
        own = {part: share(part, getattr(spec.budget, part)) for part in parts}
        budget = Budget.model_validate(dict(spec.budget) | own)
        searches.append(spec.model_copy(update={"budget": budget}))
    return experiment.model_copy(update={"searches": searches})
