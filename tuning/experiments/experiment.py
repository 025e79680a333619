"""An experiment: the same budget, base and seeds for each strategy, then its best configurations on fresh seeds.

searches/NAME/          experiment.yaml, done.jsonl (the searches that ended), result.json, result.md
searches/NAME-plain/    the search of the reference, an ordinary one
searches/NAME-mg/       the search of another strategy
searches/NAME-mg-seeds/ its best configurations, trained on seeds that had no part in its trials
"""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from recmodels.files import write_whole
from recmodels.metric import Metric
from tuning.checked_file import File, Part, first_fault
from tuning.objectives import spread_over
from tuning.records import SearchFolder, TrialRecord
from tuning.records.confirmation import SEEDS
from tuning.records.front import front_of
from tuning.spec import SearchSpec
from tuning.yaml_document import Document, read_yaml

REFERENCE = "plain"
"""The strategy that all others are compared with."""
FILE, OLDER_FILE = "experiment.yaml", "comparison.yaml"


class Confirm(Part):
    """The confirmation of each search; none if one of the two is 0."""

    top: Annotated[int, Field(ge=0)] = 3
    """number of configurations that are confirmed"""
    seeds: Annotated[int, Field(ge=0)] = 5
    """number of fresh seeds that each of them is trained on"""

    @property
    def runs(self) -> int:
        """Number of trainings."""
        return self.top * self.seeds


class Experiment(File):
    """`searches`: one per strategy, the reference first, if there is one.

    `on_base`: the others search on the base that the reference was confirmed with, in place of that in their specs.
    """

    what: ClassVar = "an experiment"

    name: str
    confirm: Confirm = Confirm()
    on_base: bool = False
    searches: Annotated[list[SearchSpec], Field(min_length=1)]

    @model_validator(mode="after")
    def _names(self) -> Self:
        """Refuse a name that would be too long for a confirmation, before hours of search."""
        for spec in self.searches:
            try:
                SearchSpec.model_validate(dict(spec) | {"name": spec.name + SEEDS})
            except ValidationError as error:
                raise ValueError(first_fault(error)) from None
        return self

    @property
    def folder(self) -> Path:
        return Path(self.searches[0].output_dir) / self.name

    @property
    def metric(self) -> Metric:
        return Metric(self.searches[0].training.metric)

    @property
    def reference(self) -> SearchSpec | None:
        """The search that the others are compared with; None if there is nothing to compare."""
        first, *rivals = self.searches
        return first if rivals and first.strategy == REFERENCE else None

    def search_folders(self) -> list[Path]:
        """Return the folders of all searches and confirmations, whether they have begun or not."""
        return [self.folder.with_name(spec.name + end) for spec in self.searches for end in ("", SEEDS)]

    def write(self) -> None:
        """Write the experiment into its folder."""
        write_whole(self.folder / FILE, self.to_yaml())

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Read the experiment in a folder, which may be a comparison of before there were experiments. UserError."""
        if (folder / FILE).exists() or not (folder / OLDER_FILE).exists():
            return cls.read(folder / FILE)
        document = read_yaml(folder / OLDER_FILE, expected=cls.what)
        if isinstance(document.data, dict):
            content = dict(document.data)
            seeds = content.pop("seeds", Confirm().seeds)
            document = Document(document.name, content | {"confirm": {"top": 1, "seeds": seeds}}, document.lines)
        return cls.of(document)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Return whether a folder has an experiment."""
        return any((folder / name).exists() for name in (FILE, OLDER_FILE))

    def confirmation_of(self, spec: SearchSpec) -> SearchSpec | None:
        """Return the search that trains the best configurations of `spec`, as it ran, on fresh seeds.

        Once it has begun, its configurations stay what they were. None without a result to confirm, or where the
        experiment confirms nothing.
        """
        own = dict(spec) | {
            "name": spec.name + SEEDS,
            "role": "confirmation",
            "scheduler": {"name": "none"},
            "warm_start": {},
        }
        own |= {"training": dict(spec.training) | {"seed": spec.training.seed + 1}, "baseline": False}
        begun = SearchFolder.of(spec.model_copy(update={"name": own["name"]}))
        if begun.exists():
            kept = begun.spec()
            own |= {"space": kept.space, "confirmed": kept.confirmed, "budget": kept.budget}
            return SearchSpec.model_validate(own)
        best = to_confirm(spec, SearchFolder.of(spec).contenders(), self.confirm.top)
        if not best or not self.confirm.seeds:
            return None
        own |= {"confirmed": [record.point for record in best], "budget": {"trials": len(best) * self.confirm.seeds}}
        return SearchSpec.model_validate(own)


def to_confirm(spec: SearchSpec, trials: list[TrialRecord], top: int) -> list[TrialRecord]:
    """Return the at most `top` of a search's trials, best first, that are trained on fresh seeds.

    With several objectives they are spread over the front: its pick, and those far from it and from each other. Where
    no trial has all objectives, the best by the metric.
    """
    trials = distinct(trials)
    front = front_of(spec.objectives, trials) if spec.objectives else None
    picked = front.picked(spec.pick) if front else None
    if front is None or picked is None:
        return trials[:top]
    places = spread_over(front.vectors(), top, front.points.index(picked))
    return [front.points[place] for place in sorted(places)]


def distinct(records: list[TrialRecord]) -> list[TrialRecord]:
    """Return the records without those whose parameters an earlier one has."""
    return [record for place, record in enumerate(records) if all(record.params != r.params for r in records[:place])]
