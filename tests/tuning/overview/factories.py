"""Overviews whose experiments have results that were made up."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from recmodels.evaluation.paired_tests import pair_by_key, paired_tests
from tests.tuning.experiments.factories import GIVEN
from tuning.cli.new_overviews import new_overview
from tuning.overview import Overview, PlannedPair


def made_overview(models: str = "LightGCN,BPR", datasets: str = "demo,synthetic:tiktok", **given: Any) -> Overview:
    """An overview of the name o whose experiments compare mg with plain training at its defaults."""
    usual = {"metric": "recall@20", "tune_base": 0, "confirm_top": 1, "confirm_seeds": 3, "name": "o"}
    return new_overview(GIVEN | usual | {"model": models, "dataset": datasets} | given)


def write_figures(
    pair: PlannedPair,
    values: Mapping[str, Sequence[float]],
    popularity: float = 0.01,
    decision: str = "better than plain",
) -> None:
    """Write the result.json of a pair.

    `values`: strategy -> recall@20 on the seeds 1000, 1001, ...; ndcg@20 is half of it.
    """
    by_seed = {name: dict(enumerate(each, start=1000)) for name, each in values.items()}
    rivals = {name: pair_by_key(own, by_seed.get("plain", {})) for name, own in by_seed.items() if name != "plain"}
    found = paired_tests(rivals)
    strategies = [
        {
            "strategy": name,
            "trials": 2,
            "tests": {seed: {"recall@20": value, "ndcg@20": value / 2} for seed, value in own.items()},
            "seeds": vars(found[name]) if name in found else None,
            "users": vars(found[name]) if name in found else None,
            "choice": "it is the best",
            "decision": decision if name in rivals else None,
            "verdict": f"{name} on {pair.dataset}: so it is.",
        }
        for name, own in by_seed.items()
    ]
    floor = {"recall@20": popularity, "ndcg@20": popularity / 2}
    content = {"metric": "recall@20", "popularity": {"valid": floor, "test": floor}, "strategies": strategies}
    pair.experiment.folder.mkdir(parents=True, exist_ok=True)
    (pair.experiment.folder / "result.json").write_text(json.dumps(content))
