"""A comparison of strategies: the same budget, base and seeds for each, then its best configuration on fresh seeds.

searches/NAME/          comparison.yaml, done.jsonl (the searches that ended), result.json, result.md
searches/NAME-mg/       the search of one strategy, an ordinary one
searches/NAME-mg-seeds/ its best configuration, trained on seeds that had no part in the choice
"""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from recmodels.files import write_whole
from recmodels.metric import Metric
from tuning.spec import SearchSpec, read_model

REFERENCE = "plain"
"""The strategy that all others are compared with."""


class Comparison(BaseModel):
    """`searches`: one per strategy, the reference first. `seeds`: how many fresh ones each winner is trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_whole(self.folder / "comparison.yaml", text)

    @classmethod
    def read(cls, folder: Path) -> "Comparison":
        """Return the comparison in a folder. UserError if its file is missing or is no comparison."""
        return read_model(folder / "comparison.yaml", cls, "a comparison")
