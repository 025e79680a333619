"""Export a winner in the keys of the reference toolbox, MMRec, so that MMRec-style tools can train it."""

import re
from collections.abc import Collection
from typing import Any

from recmodels.errors import UserError
from recmodels.metric import Metric
from tuning.export.model import Export
from tuning.yaml_document import comment, to_yaml

KEYS = {"alpha": "alpha1", "beta": "alpha2", "interval": "beta", "optimizer": "learner"}
KEYS |= {"batch_size": "train_batch_size", "learning_rate": "learning_rate", "weight_decay": "weight_decay"}
"""Our parameter of the strategy or of training -> MMRec's key. The parameters of models have the same names."""
WITHOUT_KEY = {
    "variant": "benchmark",
    "ssl_task": "fac",
    "latent_size": 256,
    "user_graph_k": 40,
    "compose": "two_step",
    "phase": "epoch_first",
    "sync_rng": False,
    "momentum": 0.0,
    "clip_norm": None,
    "precision": "fp32",
    "initial_accumulator": 0.0,
    "behaviour_k": 2,
    "behaviour_min": 2,
}
"""Our parameter without a key in MMRec -> the value that MMRec trains with."""
OF_MODELS = {
    "LATTICE": {"n_mm_layers": "n_layers"},
    "LGMRec": {"n_hyper_layers": "n_hyper_layer", "hyper_weight": "alpha"},
    "MGCN": {"n_mm_layers": "n_layers", "cl_weight": "cl_loss"},
    "SMORE": {
        "n_mm_layers": "n_layers",
        "cl_weight": "cl_loss",
        "visual_knn_k": "image_knn_k",
        "dropout": "dropout_rate",
    },
}
"""Our model -> our parameter -> MMRec's key, of those that it has under another name."""
MODEL_NAMES = {"SelfCF": "SELFCFED_LGN"}
"""Our model -> MMRec's name of it, if that differs."""
UNLIKE = {"MVGAE": "its kl_weight has there the key of Mirror Gradient's interval"}
"""Our model -> why MMRec would train it differently whatever its parameters are."""
UNTRAINED = ("ItemKNNCBF",)
"""The models without training that MMRec has too."""
SCALARS = ("train_batch_size", "learner", "weight_decay", "embedding_size", "learning_rate_scheduler")
"""MMRec's keys that hold one value. Those of other parameters hold a list of values to search."""
METRICS = {"recall": "Recall", "precision": "Precision", "map": "MAP", "ndcg": "NDCG"}


def to_mmrec(export: Export) -> str:
    """Return the text of a file in MMRec's keys. UserError if MMRec would train the winner differently."""
    training, metric = export.training, Metric(export.training.metric)
    check_mmrec(export.model, export.strategy, metric)
    settings, left_out = _parameters(export)
    _check("optimizer", settings.get("learner", "adam"), ("adam", "sgd", "rmsprop", "adagrad"))
    settings["seed"] = [export.seed]
    settings |= {
        "hyper_parameters": [key for key in settings if key not in SCALARS],
        "epochs": training.max_epochs,
        "stopping_step": training.patience // training.eval_every,  # they count evaluations
        "valid_metric": f"{METRICS[metric.name]}@{metric.k}",
        "topk": list(training.ks),
    }
    if training.eval_every > 1:
        settings["eval_step"] = training.eval_every
    if not re.fullmatch("demo|synthetic:.*|.*@.*", export.dataset):  # made and corrupted data have no file
        settings["inter_file_name"] = f"{export.dataset}.inter"
    return comment(_header(export, left_out)) + to_yaml(settings, flow=None)


def check_mmrec(model: str, strategy: str, metric: str) -> None:
    """Raise UserError if MMRec has no such model, strategy or metric."""
    from recmodels.models import MODELS  # it loads torch

    if model in MODELS and not MODELS[model].trains and model not in UNTRAINED:
        raise UserError(f"export format mmrec: model: {model} is not one of theirs")
    if model in UNLIKE:
        raise UserError(f"export format mmrec: model: {model} would be trained differently: {UNLIKE[model]}")
    _check("strategy", strategy, ("plain", "mg"))
    _check("metric", Metric(metric).name, METRICS)


def _check(name: str, value: Any, known: Collection[Any]) -> None:
    if value not in known:
        raise UserError(f"export format mmrec: {name}: expected one of {', '.join(map(str, known))}, but got {value!r}")


def _parameters(export: Export) -> tuple[dict[str, Any], list[str]]:
    """Return MMRec's settings by key, and the names of our parameters that MMRec does not have.

    UserError if MMRec trains with another value of one of them.
    """
    settings: dict[str, Any] = {}
    left_out = []
    train = export.parameters["train"]
    if "lr_decay" in train:
        settings["learning_rate_scheduler"] = [train["lr_decay"], train.get("lr_decay_epochs", 50)]
    without_key = WITHOUT_KEY | {"reg_batch_size": train.get("batch_size")}
    if export.model == "LATTICE":  # whose layers are the length of a list of widths there
        without_key |= {"n_ui_layers": 2}
    for section, values in export.parameters.items():
        for name, value in values.items():
            key = OF_MODELS.get(export.model, {}).get(name, name) if section == "model" else KEYS.get(name)
            if name in without_key:
                _check(name, value, (without_key[name],))
            elif key:
                settings[key] = value if key in SCALARS else [value]
            # clip_first only matters with clip_norm, which is None.
            elif name not in ("clip_first", "lr_decay", "lr_decay_epochs"):
                left_out.append(f"{section}.{name}")
    return settings, left_out


def _header(export: Export, left_out: list[str]) -> list[str]:
    lines = [
        f"{export.model} on {export.dataset} for MMRec-style tools, from the search {export.search.name}.",
        "Random draws differ from ours and metrics are rounded there: expect close numbers, not the same.",
    ]
    if export.model in MODEL_NAMES:
        lines.append(f"There the model is called {MODEL_NAMES[export.model]}.")
    if export.strategy == "mg":
        lines.append("Mirror Gradient: alpha1 is our alpha, alpha2 our beta, and beta here is the interval.")
    if export.training.eval_every > 1:
        lines.append("There the last epoch is not evaluated, unless it is an eval_step-th one.")
    if left_out:
        lines.append(f"Without a key of theirs, so left out: {', '.join(left_out)}.")
    return lines
