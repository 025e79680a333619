"""Exports of tiny models on a checkerboard, their searches, and command lines that analyse them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import run_search
from recmodels.training.checkpoint import save_weights
from tests.recmodels.factories import checkerboard
from tests.tuning.cli.test_recommend import EXPORT
from tests.tuning.factories import ENVIRONMENT, made_plan, made_row, made_spec
from tuning.export import Export
from tuning.export.replay import replay
from tuning.records import SearchFolder
from tuning.records.environment import DataFacts
from tuning.records.trials import TrialResult, record_of
from tuning.yaml_document import to_yaml

BOARD = checkerboard()
KNOBS = {"alpha": 1.0, "beta": 0.5, "interval": 1}
SMALL = ("--batches", "2", "--batch-size", "8")
LANDSCAPE = (
    "analyze",
    "landscape",
    "plain.yaml",
    "mg.yaml",
    *SMALL,
    "--points",
    "3",
    "--pairs",
    "2",
    "--output",
    "out",
)
SHARPNESS = (
    "analyze",
    "sharpness",
    "plain.yaml",
    "mg.yaml",
    *SMALL,
    "--measures",
    "gradient,one_step",
    "--output",
    "out",
)


def made_export(name: str, strategy: str = "plain", **changes: Any) -> Export:
    """The file NAME.yaml in the working directory, with the metrics that its training has."""
    content = {**EXPORT, "dataset": "board", "data_fingerprint": BOARD.fingerprint, "strategy": strategy}
    knobs = KNOBS if strategy == "mg" else {}
    parameters = {**EXPORT["parameters"], "strategy": knobs, **changes.pop("parameters", {})}
    export = Export.model_validate({**content, "parameters": parameters, **changes})
    export = export.model_copy(update={"metrics": type(export.metrics).model_validate(replay(export, BOARD).scores)})
    Path(f"{name}.yaml").write_text(to_yaml(export.model_dump(mode="json")))
    return Export.read(Path(f"{name}.yaml"))


def made_search_of(export: Export, searches: Path) -> Path:
    """The folder of the search that made an export; returns the file of the winner's weights."""
    folder = SearchFolder(searches / export.search.name)
    folder.write_spec(
        made_spec(name=export.search.name, model=export.model, dataset=export.dataset, tracking={"uri": None})
    )
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(BOARD)))
    epoch = export.training.best_epoch
    row = made_row("0000", epoch, valid=export.metrics.valid, best_epoch=epoch)
    for number, seed in enumerate((export.seed + 1, export.seed)):  # the second one is the winner
        plan = made_plan(trial=f"{number:04}", strategy=export.strategy, params=export.parameters, seed=seed)
        folder.append_record(record_of(plan, [row], TrialResult("finished", "")))
        save_weights(folder.trial(plan.trial).best_weights(epoch), replay(export, BOARD).weights)
    return folder.trial("0001").best_weights(epoch)


def analyze(*arguments: str, more: Sequence[str] = ()) -> int:
    return run_search.main([*arguments, *more])
