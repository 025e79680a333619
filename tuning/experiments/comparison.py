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
from tuning.records import SearchFolder, winner
from tuning.spec import File, SearchSpec

REFERENCE = "plain"
"""The strategy that all others are compared with."""


class Comparison(File):
    """`searches`: one per strategy, the reference first. `seeds`: number of fresh seeds for each winner."""

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

    def confirmation_of(self, spec: SearchSpec) -> SearchSpec | None:
        """Return the search that trains the winner of `spec` on fresh seeds, which had no part in the choice.

        None without a winner, or if the comparison wants no seeds.
        """
        best = winner(SearchFolder.of(spec).ledger().values())
        if best is None or not self.seeds:
            return None
        changes = {
            "name": f"{spec.name}-seeds",
            "space": best.params,
            "warm_start": {},
            "role": "confirmation",
            "scheduler": {"name": "none"},
            "budget": {"trials": self.seeds},
            "training": spec.training.model_dump() | {"seed": spec.training.seed + 1},
            "export_dir": str(self.folder),
        }
        return SearchSpec.model_validate(spec.model_dump() | changes)
