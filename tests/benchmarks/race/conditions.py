"""What the figures of a race hold for."""

import datetime
import shlex
from collections.abc import Sequence
from pathlib import Path

from recmodels.data import load_dataset
from tests.benchmarks.race.setting import Race
from tuning.records.environment import Environment, GitState


def conditions(race: Race, threads: int, argv: Sequence[str]) -> dict[str, str]:
    """Return the race's conditions by name; `threads`: of a training; `argv`: the command line."""
    spec = race.spec
    training, scheduler = spec.training, spec.scheduler
    grace = scheduler.grace_epochs(training.max_epochs)
    data = load_dataset(spec.dataset, Path(spec.data_dir) if spec.data_dir else None)
    now = Environment.now(data, argv, threads)
    git = now.git or GitState("unknown", dirty=False)
    return {
        "command": shlex.join(["python", "-m", "tests.benchmarks.race", *argv]),
        "commit": f"{git.commit[:7]}{' with changes' if git.dirty else ''}",
        "machine": f"{now.cpu.name}, {now.cpu.cores} cores; threads of a training: {threads}",
        "data": f"{data}, fingerprint {data.fingerprint[:12]}",
        "fixed": ", ".join(f"{name} {value}" for name, value in spec.space.fixed.items()),
        "space": "; ".join(f"{name}: {values}" for name, values in spec.space.dimensions.items()),
        "trials": f"at most {training.max_epochs} epochs, patience {training.patience}, seed {training.seed}",
        "pruning": f"{scheduler.name}, grace {grace} epochs, reduction {scheduler.reduction:g}",
        "side by side": f"{race.workers} trials, on the clock of passes",
        "date": f"{datetime.date.today():%d %B %Y}",
    }
