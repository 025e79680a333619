"""AMR's recipe and its data sets in a trial: what the search space says reaches model, optimiser and ranking."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recmodels.data import RecDataset
from recmodels.data.formats.amr import load_amr
from recmodels.data.synthetic import synthetic
from recmodels.evaluation import popularity_scores
from recmodels.training.strategies.amr import AMR
from tests.recmodels.data.formats import amr_folders
from tuning.execution.trial import build, run_trial
from tuning.records.folder import TrialFolder
from tuning.records.sealed import open_test
from tuning.records.trials import TrialPlan
from tuning.space import SpaceError, load_space
from tuning.space.catalogue import check_space, known_parameters, search_space
from tuning.spec import Training


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RecDataset:
    path = tmp_path_factory.mktemp("amr") / "pins"
    made = synthetic("made", n_users=120, n_items=80, n_interactions=600, dims={"image": 6})
    amr_folders.write(path, made, n_negatives=30)
    return load_amr(path)


def resolved(*overrides: str) -> dict[str, Any]:
    known = known_parameters("VBPR", "amr+mg")
    space = load_space("VBPR", "amr+mg", "pins", space="amr", overrides=overrides, known=known)
    check_space(space, "VBPR", "amr+mg")
    return space.resolve(space.default_point() or {})


def plan(params: dict[str, Any]) -> TrialPlan:
    return TrialPlan(
        trial="0000",
        role="search",
        strategy="amr+mg",
        params=params,
        point={},
        seed=1,
        threads=1,
        device="cpu",
        time=0.0,
    )


def test_the_recipe_reaches_model_and_optimiser(data: RecDataset) -> None:
    params = resolved()
    assert (params["train"]["batch_size"], params["model"]["reg_weight"]) == (512, 0.1)
    for name, knob in inspect.signature(AMR).parameters.items():
        assert params["strategy"][name] == ("converged" if name == "adv_warmup" else knob.default)
    state = build(plan(params), "VBPR", data, torch.device("cpu"))
    rates = {parameter: group["lr"] for group in state.optimizer.param_groups for parameter in group["params"]}
    assert {name: rates[each] for name, each in state.model.named_parameters()} == pytest.approx(
        {"user_emb": 1e-2, "item_emb": 1e-4, "weight": 1e-3}
    )
    assert all((state.optimizer.state[each]["sum"] == 0.1).all() for each in state.model.parameters())


def test_a_trial_ranks_among_the_candidates(data: RecDataset, tmp_path: Path) -> None:
    folder, training = TrialFolder(tmp_path), Training(max_epochs=3, metric="ndcg@5", ks=(5, 50))
    at_once = plan(resolved("adv_warmup=0"))
    run_trial(at_once, model="VBPR", data=data, training=training, folder=folder, report=lambda row: None)
    rows = folder.epochs()
    assert [row.passes for row in rows] == [4, 4, 4]  # one mirrored batch, each gradient in two passes
    for metrics in (rows[-1].valid, open_test(folder), *popularity_scores(data, training.cutoffs).values()):
        assert metrics["hit@50"] == metrics["recall@50"] == 1.0  # with 30 negatives nothing ranks below 31
        assert 0 < metrics["ndcg@50"] < 1
    n_valid = len(data.valid)
    assert rows[-1].valid["hit@5"] * n_valid == pytest.approx(np.round(rows[-1].valid["hit@5"] * n_valid))


def test_the_adversary_starts_from_the_converged_model(data: RecDataset, tmp_path: Path) -> None:
    """Two passes in the mirrored batch until the patience is at its end, and four after that."""
    folder, training = TrialFolder(tmp_path), Training(max_epochs=60, patience=1, metric="ndcg@5", ks=(5,))
    run_trial(plan(resolved()), model="VBPR", data=data, training=training, folder=folder, report=lambda row: None)
    passes = [row.passes for row in folder.epochs()]
    assert passes == [2] * passes.count(2) + [4] * passes.count(4)
    assert folder.result().reason == f"no improvement for 2 epochs; first converged after epoch {passes.count(2)}"
    assert passes.count(2) >= 2 <= passes.count(4)


@pytest.mark.parametrize("strategy", ["plain", "mg", "sam"])
def test_the_recipe_goes_with_strategies_without_an_adversary(strategy: str) -> None:
    space = search_space("VBPR", strategy, "demo", space="amr")
    assert space.fixed.keys() > {"initial_accumulator", "variant"}
    assert "adv_warmup" not in {parameter.name for parameter in space.parameters}


def test_an_accumulator_is_adagrads() -> None:
    with pytest.raises(SpaceError) as error:
        resolved("optimizer=adam")
    rule = "initial_accumulator is for adagrad alone, but the optimizer is adam"
    assert str(error.value) == f"--set optimizer=adam and spaces/amr.yaml:12: {rule}"
