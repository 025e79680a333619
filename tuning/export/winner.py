"""A search's winner as one YAML file that says all a replay needs."""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field

from recmodels.errors import UserError
from recmodels.files import write_whole
from recmodels.metric import Metric
from tuning.commandlines import replay_command
from tuning.records.folder import SearchFolder
from tuning.records.trials import Status, TrialRecord
from tuning.spec import CheckedMetric, SearchSpec, read_model

MMREC_LEARNERS = ("adam", "sgd", "rmsprop", "adagrad")
MMREC_STRATEGIES = ("plain", "mg")
"""What MMRec-style tools can train with."""
_MMREC_KEYS = {
    "strategy": {"alpha": "alpha1", "beta": "alpha2", "interval": "beta"},
    "train": {
        "learning_rate": "learning_rate",
        "batch_size": "train_batch_size",
        "optimizer": "learner",
        "weight_decay": "weight_decay",
    },
}
_MMREC_FIXED = {"variant": "benchmark", "ssl_task": "fac", "latent_size": 256, "user_graph_k": 40}
_MMREC_FIXED |= {"compose": "two_step", "phase": "epoch_first", "sync_rng": False, "momentum": 0.0, "clip_norm": None}
_MMREC_FIXED |= {"initial_accumulator": 0.0}
"""Our parameters that their models have no key for -> what theirs train with."""
_MMREC_NAMES = {"SelfCF": "SELFCFED_LGN"}
_MMREC_SCALARS = ("train_batch_size", "learner", "weight_decay", "embedding_size")
_MMREC_METRICS = {"recall": "Recall", "precision": "Precision", "map": "MAP", "ndcg": "NDCG"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportedTraining(_Part):
    """`epochs`: how many the winner ran and a replay runs; `max_epochs`, `patience`: the rule of the search."""

    epochs: Annotated[int, Field(ge=1)]
    best_epoch: Annotated[int, Field(ge=1)]
    metric: CheckedMetric
    ks: tuple[Annotated[int, Field(ge=1)], ...]
    max_epochs: Annotated[int, Field(ge=1)]
    patience: Annotated[int, Field(ge=0)]


class ExportedMetrics(_Part):
    """All metrics at the best epoch, not rounded; `test` is empty where it was not measured."""

    valid: dict[str, float]
    test: dict[str, float]


class ExportedSearch(_Part):
    """`trials`: how many finished, were pruned, failed; without the baseline."""

    name: str
    trials: dict[str, int]
    sampler: str
    scheduler: str


class Export(_Part):
    """The winner of a search. `parameters` by section; `threads`, `device`: what the trial ran on.

    `reconstruction`: the strategy was rebuilt from less than its paper's text, whose results these are not.

    `popularity`: what ranking by popularity reaches on the same data; None in files of older searches.
    """

    model: str
    dataset: str
    strategy: str
    reconstruction: bool = False
    parameters: dict[Annotated[str, Field(pattern="^(strategy|train|model)$")], dict[str, Any]]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    training: ExportedTraining
    metrics: ExportedMetrics
    popularity: ExportedMetrics | None = None
    data_fingerprint: str
    versions: dict[str, str]
    threads: Annotated[int, Field(ge=1)]
    device: Literal["cpu", "cuda"]
    search: ExportedSearch


def export_name(spec: SearchSpec) -> str:
    """The file name of a search's winner: `GRCN-synthetic-clothing-mg.yaml`."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", f"{spec.model}-{spec.dataset}-{spec.strategy}.yaml")


def export_best(spec: SearchSpec, record: TrialRecord, folder: SearchFolder) -> Path:
    """Write the winner into the spec's `export_dir` and as best.yaml into the search's folder; returns the first file.

    Where the spec asks for mmrec, `...-mmrec.yaml` lies beside it. UserError if MMRec cannot train the winner.
    """
    export = _export(spec, record, folder)
    path = Path(spec.export_dir) / export_name(spec)
    content = _yaml(export.model_dump(mode="json"), flow=False)
    for target in (path, folder.best):
        write_whole(target, _header(export, record.status, replay_command(target, spec.data_dir)) + content)
    if spec.export_format == "mmrec":
        write_whole(path.with_name(f"{path.stem}-mmrec.yaml"), to_mmrec(export))
    return path


def read_export(path: Path) -> Export:
    """The winner in a YAML file. UserError if the file is missing or not an export."""
    return read_model(path, Export, "an exported configuration")


def read_trainable(path: Path) -> Export:
    """The same; UserError also if it says what cannot be trained, as a file does that was changed by hand."""
    from tuning.space.catalogue import check_configuration  # it loads torch

    export = read_export(path)
    try:
        check_configuration(export.model, export.strategy, export.parameters)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return export


def to_mmrec(export: Export) -> str:
    """The winner in the keys of the reference toolbox. UserError if that cannot train it as it was trained here."""
    settings, left_out = _mmrec_parameters(export)
    training = export.training
    check_mmrec(export.model, export.strategy, training.metric)
    parameters = {name: value for part in export.parameters.values() for name, value in part.items()}
    for name, value in _MMREC_FIXED.items():
        _check_mmrec(name, parameters.get(name, value), (value,))
    _check_mmrec("optimizer", settings.get("learner", "adam"), MMREC_LEARNERS)
    metric = Metric(training.metric)
    settings |= {"seed": [export.seed]}
    settings |= {
        "hyper_parameters": [key for key in settings if key not in _MMREC_SCALARS],
        "epochs": training.max_epochs,
        "stopping_step": training.patience,
        "valid_metric": f"{_MMREC_METRICS[metric.name]}@{metric.k}",
        "topk": list(training.ks),
    }
    if not re.fullmatch("demo|synthetic:.*|.*@.*", export.dataset):  # made and corrupted data have no file
        settings["inter_file_name"] = f"{export.dataset}.inter"
    return _mmrec_header(export, left_out) + _yaml(settings, flow=None)


def _export(spec: SearchSpec, record: TrialRecord, folder: SearchFolder) -> Export:
    from recmodels.training.strategies import is_reconstruction  # it loads torch

    counts = Counter(other.status for other in folder.ledger().values() if other.role != "baseline")
    environment = folder.environment()
    assert environment is not None  # a search that has a winner was started
    fields = {
        "model": spec.model,
        "dataset": spec.dataset,
        "strategy": spec.strategy,
        "reconstruction": is_reconstruction(spec.strategy),
        "parameters": record.params,
        "seed": record.seed,
        "training": {
            "epochs": record.epochs,
            "best_epoch": record.best_epoch,
            "metric": spec.training.metric,
            "ks": spec.training.cutoffs,
            "max_epochs": spec.training.max_epochs,
            "patience": spec.training.patience,
        },
        "metrics": record.scores,
        "popularity": folder.popularity(),
        "data_fingerprint": environment.data.fingerprint,
        "versions": environment.versions,
        "threads": record.threads,
        "device": record.device,
        "search": {
            "name": spec.name,
            "trials": {status: counts[status] for status in get_args(Status)},
            "sampler": spec.sampler,
            "scheduler": spec.scheduler.name,
        },
    }
    return Export.model_validate(fields)


def _header(export: Export, status: Status, replay: str) -> str:
    lines = [
        f"The best of the search {export.search.name}: {export.model} on {export.dataset}, strategy {export.strategy}.",
        f"Chosen by {export.training.metric} on validation; test metrics had no part in the choice.",
    ]
    if status != "finished":
        lines.append(f"No trial finished: this one had been stopped early, after {export.training.epochs} epochs.")
    return _comment([*lines, "To train it again:", f"  {replay}"])


def _mmrec_header(export: Export, left_out: list[str]) -> str:
    lines = [
        f"{export.model} on {export.dataset} for MMRec-style tools, from the search {export.search.name}.",
        "Random draws differ from ours and metrics are rounded there: expect close numbers, not the same.",
    ]
    if export.model in _MMREC_NAMES:
        lines.append(f"There the model is called {_MMREC_NAMES[export.model]}.")
    if export.strategy == "mg":
        lines.append("Mirror Gradient: alpha1 is our alpha, alpha2 our beta, and beta here is the interval.")
    if left_out:
        lines.append(f"Without a key of theirs, so left out: {', '.join(left_out)}.")
    return _comment(lines)


def _mmrec_parameters(export: Export) -> tuple[dict[str, Any], list[str]]:
    """Their settings, in lists where they search, and the names of ours that they do not have."""
    settings: dict[str, Any] = {}
    left_out = []
    for section, values in export.model_dump(mode="json")["parameters"].items():
        for ours, value in values.items():
            if ours in _MMREC_FIXED or ours == "clip_first":  # the latter says how to clip, which nobody does
                continue
            key = ours if section == "model" else _MMREC_KEYS[section].get(ours)
            if key is None:
                left_out.append(f"{section}.{ours}")
            else:
                settings[key] = value if key in _MMREC_SCALARS else [value]
    return settings, left_out


def check_mmrec(model: str, strategy: str, metric: str) -> None:
    """UserError if the reference toolbox knows no such model, strategy or metric."""
    if model == "Popularity":
        raise UserError("export format mmrec: model: Popularity is not one of theirs")
    _check_mmrec("strategy", strategy, MMREC_STRATEGIES)
    _check_mmrec("metric", Metric(metric).name, _MMREC_METRICS)


def _check_mmrec(what: str, value: Any, known: Collection[Any]) -> None:
    if value not in known:
        raise UserError(f"export format mmrec: {what}: expected one of {', '.join(map(str, known))}, but got {value!r}")


def _comment(lines: list[str]) -> str:
    return "".join(f"# {line}\n" for line in lines)


def _yaml(content: dict[str, Any], *, flow: bool | None) -> str:
    """YAML that reads back exactly: a float is written as its repr. `flow` None puts lists on one line."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=1000)
