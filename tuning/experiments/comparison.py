"""A comparison of strategies: the same budget, base and seeds for each, then its best configuration on fresh seeds.

searches/NAME/          comparison.yaml, done.jsonl (the searches that ended), result.json, result.md
searches/NAME-mg/       the search of one strategy, an ordinary one
searches/NAME-mg-seeds/ its best configuration, trained on seeds that had no part in the choice
"""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from recmodels.files import write_whole
from recmodels.metric import Metric
from tuning.spec import File, SearchSpec

REFERENCE = "plain"
"""The strategy that all others are compared with."""


class Comparison(File):
    """`searches`: one per strategy, the reference first. `seeds`: how many fresh ones each winner is trained on."""

    what: ClassVar = "a comparison"

    name: str
    seeds: Annotated[int, Field(ge=0)] = 5
    searches: list[SearchSpec]

    @property
    def folder(self) -> Path:
        return Path(self.searches[0].output_dir) / self.name

    @property
    def metric(self) -> Metric:
        return Metric(self.searches[0].training.metric)

    def write(self) -> None:
        """Write the comparison into its folder."""
        write_whole(self.folder / "comparison.yaml", self.to_yaml())
