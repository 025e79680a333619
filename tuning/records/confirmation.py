"""What became of a search's best configurations on fresh seeds, kept beside its trials and in its export."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field

from tuning.checked_file import File, Part
from tuning.records.trials import TrialRecord

SEEDS = "-seeds"
"""The end of the name of a search that confirms another."""


class Spread(Part):
    """Values of one metric on several seeds, in the order of the seeds.

    `deviation`: the sample's. `low`, `high`: the 95 % confidence interval of the mean by Student's t. None for a single
    value.
    """

    values: tuple[float, ...]
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


class Difference(Part):
    """A mean difference from the reference on test, paired by seed or by user; `n`: number of pairs.

    `low`, `high`: its 95 % confidence interval. `p`: of a two-sided paired t test, after Holm's correction.
    """

    difference: float
    low: float
    high: float
    p: Annotated[float, Field(ge=0, le=1)]
    n: Annotated[int, Field(ge=2)]


class FrontPoint(Part):
    """A point of the front of several objectives on fresh seeds.

    `values`: of each objective, on the seeds that have all of them; {} without such a seed. `stays`: whether it is on
    the front of the means. `alike`: the other points from which the seeds tell it apart in no objective.
    """

    trial: str
    values: dict[str, Spread]
    stays: bool
    alike: tuple[str, ...] = ()


class Confirmation(File):
    """The configuration of a search that was chosen on fresh seeds, with its figures there.

    `experiment`: its name. `trial`: the chosen trial of the search. `choice`: why that one, in a sentence. `seeds`: the
    fresh ones. `metric`: of all figures. `reference`: what it was compared with, None for nothing; `compared`: number
    of strategies that were, by which p values are corrected. `verdict`: the result in a sentence. `front`: with several
    objectives all points that were trained on these seeds.
    """

    what: ClassVar = "the confirmation of a search"
    experiment: str
    trial: str
    choice: str
    seeds: tuple[int, ...]
    metric: str
    valid: Spread
    test: Spread
    reference: str | None = None
    compared: Annotated[int, Field(ge=0)] = 0
    over_seeds: Difference | None = None
    over_users: Difference | None = None
    verdict: str
    front: tuple[FrontPoint, ...] = ()

    @classmethod
    def in_file(cls, path: Path) -> Self | None:
        """Read a search's confirmation; None if there is no such file."""
        return cls.read(path) if path.exists() else None

    def among(self, records: Iterable[TrialRecord]) -> TrialRecord | None:
        """Return the chosen trial's record; None if it is not among these."""
        return next((record for record in records if record.trial == self.trial), None)
