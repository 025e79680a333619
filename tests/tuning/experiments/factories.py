"""Comparisons whose trials train in this process, without Ray."""

from typing import Any

from recmodels.data.dataset import RecDataset
from tuning.cli.compare import new_comparison
from tuning.execution.ray_tune.recorder import record_of
from tuning.execution.trial import run_trial
from tuning.experiments.comparison import Comparison
from tuning.records.folder import SearchFolder
from tuning.space.layers import Space
from tuning.spec import SearchSpec

GIVEN: dict[str, Any] = {
    "model": "LightGCN",
    "dataset": "demo",
    "set": ["embedding_size=4"],
    "max_epochs": "3",
    "metric": "recall@1",
    "trials": "2",
    "output_dir": "searches",
    "name": "c",
}


def made_comparison(**given: Any) -> Comparison:
    return new_comparison(GIVEN | {"compare": "mg,sam", "seeds": "2"} | given)


class Driver:
    """Runs the trials of a search in this process; the user interrupts in the search of the name `stop_in`."""

    def __init__(self, data: RecDataset, stop_in: str = ""):
        self.data, self.stop_in, self.ran = data, stop_in, list[str]()

    def __call__(self, spec: SearchSpec, folder: SearchFolder) -> bool:
        self.ran.append(spec.name)
        folder.write_spec(spec)
        folder.write_environment({"popularity": None})
        space = Space.from_data(spec.space)
        point = space.default_point() or {}
        for number in range(spec.budget.trials if spec.repeat_seeds else 1):
            trial = folder.trial(f"{number:04}")
            seed = spec.training.seed + (number if spec.repeat_seeds else 0)
            plan = {"trial": trial.name, "strategy": spec.strategy, "params": space.resolve(point), "point": point}
            plan |= {"seed": seed, "threads": 1, "device": "cpu", "time": 0.0}
            trial.write_plan(plan)
            run_trial(
                plan, model=spec.model, data=self.data, training=spec.training, folder=trial, report=lambda row: None
            )
            folder.append_record(record_of(trial, None, None))
        return spec.name != self.stop_in
