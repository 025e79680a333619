"""Our models on tiktok at the settings of the reference toolbox's runs, over several seeds, beside what those reached.

    python -m tests.benchmarks.accuracy --data-dir DIR

Plain training, Adam at 1e-3, batch 2048, patience 20 on validation recall@20 or the epoch cap given. Test metrics are
those of the best validation epoch. "Off" is the difference of mean test recall@20 in standard errors of one run over
the test users; a seed moves a run by about as much.
"""

import argparse
import math
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recmodels.data import RecDataset, load_dataset
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS
from recmodels.training import TrainingState, make_optimizer, make_strategy, train
from recmodels.training.stopping import best_epoch, epochs_without_improvement

KS = (5, 10, 20)
SHOWN = ("recall@5", "recall@10", "recall@20", "ndcg@20")


@dataclass
class Run:
    """`reference`: validation recall@20, then test recall@5, @10, @20 and ndcg@20."""

    max_epochs: int
    reference: tuple[float, ...]
    hyper: dict[str, Any] = field(default_factory=dict)
    weight_decay: float = 0.0


# The field's reference toolbox on tiktok, audio in the place of its text features, one seed (999).
RUNS = {
    "VBPR": Run(120, (0.0256, 0.0098, 0.0145, 0.0250, 0.0105), {"reg_weight": 1e-2}),
    "LightGCN": Run(120, (0.1008, 0.0387, 0.0588, 0.0934, 0.0426), {"reg_weight": 1e-3, "n_layers": 2}),
    "FREEDOM": Run(100, (0.0936, 0.0362, 0.0560, 0.0885, 0.0385), {"reg_weight": 1e-3, "dropout": 0.8}),
    "BM3": Run(100, (0.0693, 0.0198, 0.0263, 0.0643, 0.0211), {"reg_weight": 0.1, "n_layers": 1, "dropout": 0.3}),
    "LayerGCN": Run(100, (0.0985, 0.0397, 0.0635, 0.0934, 0.0432), {"reg_weight": 1e-3, "n_layers": 4, "dropout": 0.1}),
    "SelfCF": Run(100, (0.0223, 0.0023, 0.0087, 0.0227, 0.0069), {"reg_weight": 1e-2, "n_layers": 2, "dropout": 0.1}),
    "BPR": Run(120, (0.0483, 0.0207, 0.0309, 0.0483, 0.0212), {"reg_weight": 1e-2}),
    "GRCN": Run(30, (0.0624, 0.0247, 0.0426, 0.0686, 0.0277), {"reg_weight": 1e-3}),
    "SLMRec": Run(30, (0.1024, 0.0349, 0.0578, 0.0944, 0.0374), {"ssl_temp": 0.5, "ssl_alpha": 0.05}, 1e-4),
    "MMGCN": Run(20, (0.0916, 0.0180, 0.0483, 0.0846, 0.0282)),
    "DualGNN": Run(25, (0.0768, 0.0199, 0.0372, 0.0614, 0.0243), {"reg_weight": 1e-2}),
    "DRAGON": Run(20, (0.0811, 0.0292, 0.0472, 0.0753, 0.0325), {"reg_weight": 1e-3}),
    "Popularity": Run(1, (0.0627, 0.0439, math.nan, 0.0596, math.nan)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks.accuracy", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder that holds tiktok's")
    parser.add_argument("--models", default=",".join(RUNS), help="names with commas between them (default: all)")
    parser.add_argument("--seeds", default="999,1,2")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (default: all cores)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = load_dataset("tiktok", given.data_dir)
    error = math.sqrt(0.09 * 0.91 / (data.test.counts > 0).sum())
    print("| model | epochs | valid recall@20 | test " + " | ".join(SHOWN) + " | off |")
    print("| --- |" + " ---: |" * (3 + len(SHOWN)))
    for model in given.models.split(","):
        run, found = RUNS[model], []
        for seed in map(int, given.seeds.split(",")):
            found.append(reached(model, run, data, seed))
            print(model, seed, found[-1], file=sys.stderr, flush=True)
        epochs, *means = (statistics.fmean(column) for column in zip(*found, strict=True))
        pairs = (f"{ours:.4f} ({theirs:.4f})" for ours, theirs in zip(means, run.reference, strict=True))
        off = (means[3] - run.reference[3]) / error
        print(f"| {model} | {epochs:.0f} | {' | '.join(pairs)} | {off:+.1f} |", flush=True)


def reached(model: str, run: Run, data: RecDataset, seed: int) -> tuple[float, ...]:
    """Epochs, best validation recall@20 and the test metrics SHOWN of that epoch."""
    torch.manual_seed(seed)
    made = MODELS[model](data, **run.hyper)
    optimizer = make_optimizer("adam", made.parameters(), learning_rate=1e-3, weight_decay=run.weight_decay)
    state = TrainingState(made, optimizer, make_strategy("plain", made), np.random.default_rng(seed))
    valid, test = (Evaluator(data, split, KS) for split in ("valid", "test"))
    scores: dict[int, float] = {}
    best: dict[str, float] = {}
    for report in train(state, data, batch_size=2048, max_epochs=run.max_epochs, evaluator=valid):
        scores[report.epoch] = report.valid["recall@20"]
        if best_epoch(scores) == report.epoch:
            with torch.no_grad():
                best = test(*made.embed())
        if epochs_without_improvement(scores) > 20:
            break
    return len(scores), max(scores.values()), *(best[name] for name in SHOWN)


if __name__ == "__main__":
    main()
