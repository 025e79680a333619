"""Experiments whose trials train in this process, without Ray."""

from dataclasses import replace
from typing import Any

from recmodels.data.dataset import RecDataset
from tuning.cli.experiment import new_experiment
from tuning.execution.trial import run_trial
from tuning.experiments.experiment import Experiment
from tuning.proposals.queue import make_queue
from tuning.records.folder import SearchFolder
from tuning.records.trials import record_of
from tuning.space import Space
from tuning.space.distributions import corners
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


def made_experiment(**given: Any) -> Experiment:
    """Compares mg and sam with plain training at its defaults, one configuration of each on two fresh seeds."""
    usual = {"compare": "mg,sam", "tune_base": 0, "confirm_top": 1, "confirm_seeds": 2}
    made = new_experiment(GIVEN | usual | given)
    assert made is not None
    return made


class Driver:
    """Runs the trials of a search in this process; the user interrupts in the search of the name `stop_in`.

    It proposes the default point, and with `corners` two corners of the space as well.
    """

    def __init__(self, data: RecDataset, stop_in: str = "", device: str = "cpu", corners: bool = False):
        self.data, self.stop_in, self.device, self.corners, self.ran = data, stop_in, device, corners, list[str]()
        self.space = Space(())

    def ask(self, name: str, index: int) -> dict[str, Any] | None:
        if index == 0:
            return self.space.default_point() or {}
        if index > 2 or not self.corners:
            return None
        return {name: corners(each)[index - 2] for name, each in self.space.dimensions.items()}

    def __call__(self, spec: SearchSpec) -> bool:
        self.ran.append(spec.name)
        folder, self.space = SearchFolder.of(spec), spec.space
        folder.write_spec(spec)
        for planned in make_queue(spec, folder, self):
            plan = replace(planned, device=self.device)
            trial = folder.trial(plan.trial)
            trial.write_plan(plan)
            run_trial(
                plan,
                model=spec.model,
                data=self.data,
                training=spec.training,
                folder=trial,
                report=lambda row: None,
                objectives=spec.objectives,
            )
            result = trial.result()
            assert result is not None
            folder.append_record(record_of(plan, trial.epochs(), result))
        return spec.name != self.stop_in
