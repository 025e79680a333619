"""The winner of a search as MLflow serves it. MLflow copies this file into the model and runs it where it is loaded, so
it imports nothing of this package: recmodels travels beside it."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from recmodels.errors import UserError
from recmodels.evaluation.recommend import LEFT_OUT
from recmodels.evaluation.trained_ranking import TrainedRanking, are_numbers


class Winner(PythonModel):
    """Recommends items to users that the model was trained with."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the winner's files."""
        self.ranking = TrainedRanking.load(Path(context.artifacts["winner"]))
        ids = self.ranking.ids
        self.numbers = [name for name, own in (("user", ids.users), ("item", ids.items)) if are_numbers(own)]

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return user, rank from 1, item and score, the best first, of each user of the column `user`.

        `params`: k, the number of items; leave_out, as of the command `recommend`. UserError for a user that is not
        known, and for other params.
        """
        chosen: dict[str, Any] = {"k": 20, "leave_out": LEFT_OUT[0]} | (params or {})
        k, leave_out = chosen["k"], chosen["leave_out"]
        if k < 1:
            raise UserError(f"k: expected at least 1, but got {k}")
        if leave_out not in LEFT_OUT:
            raise UserError(f"leave_out: expected one of {', '.join(LEFT_OUT)}, but got {leave_out!r}")
        users = self.ranking.numbers([str(each) for each in model_input["user"]])
        frames = list(self.ranking.best(users, k, leave_out))
        nothing = pd.DataFrame({"user": [], "rank": [], "item": [], "score": []})
        found = pd.concat(frames, ignore_index=True) if frames else nothing
        return found.astype(dict.fromkeys(self.numbers, "int64"))


set_model(Winner())
