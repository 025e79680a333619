import math

from tests.tuning.factories import made_row, made_spec
from tuning.tracking import points as tracked

PLAN = {"strategy": "mg", "seed": 3, "threads": 1, "device": "cpu"}


def test_an_epoch_makes_points_at_its_step_and_time():
    row = made_row("0000", 2, valid={"recall@20": 0.5}, best=0.5)
    assert tracked.epoch_points(row) == [
        ("valid/recall_at_20", 0.5, 1_700_000_002_000, 2),
        ("best", 0.5, 1_700_000_002_000, 2),
        ("loss", 0.5, 1_700_000_002_000, 2),
        ("terms/bpr", 0.5, 1_700_000_002_000, 2),
        ("valid_seconds", 0.25, 1_700_000_002_000, 2),
        ("epoch_seconds", 0.75, 1_700_000_002_000, 2),
    ]


def test_values_that_are_no_finite_numbers_make_no_points_but_are_named():
    row = made_row("0000", 1, loss=None, terms={}, best=None, valid={"recall@20": math.nan, "hit@5": math.inf})
    assert [point.name for point in tracked.epoch_points(row)] == ["valid_seconds", "epoch_seconds"]
    values = [tracked.epoch_values(row), tracked.epoch_values(made_row("0000", 2))]
    assert tracked.non_finite(values) == ["loss", "valid/hit_at_5", "valid/recall_at_20"]


def test_parameters_are_flat_and_a_name_used_twice_keeps_its_section():
    params = {"strategy": {"alpha": 1.0, "rho": 0.1}, "train": {}, "model": {"rho": [1, 2]}}
    assert tracked.trial_params({**PLAN, "params": params}) == {
        "alpha": "1.0",
        "rho": "0.1",
        "model.rho": "[1, 2]",
        "strategy": "mg",
        "seed": "3",
        "threads": "1",
        "device": "cpu",
    }


def test_a_long_parameter_is_cut():
    value = tracked.trial_params({**PLAN, "params": {"model": {"layers": "x" * 7000}}})["layers"]
    assert len(value) == tracked.PARAM_LIMIT
    assert value.endswith("x...")


def test_identity_holds_what_the_environment_says():
    environment = {
        "versions": {"torch": "2.13", "python": "3.11"},
        "git": {"commit": "c0ffee", "dirty": True},
        "data": {"fingerprint": "f1"},
    }
    assert tracked.identity(made_spec(), environment) == {
        "mirrortune.search": "made",
        "model": "BPR",
        "dataset": "demo",
        "strategy": "mg",
        "data_fingerprint": "f1",
        "mlflow.source.git.commit": "c0ffee",
        "git_dirty": "True",
        "version.torch": "2.13",
    }


def test_identity_without_checkout_or_record():
    bare = {"mirrortune.search": "made", "model": "BPR", "dataset": "demo", "strategy": "mg"}
    assert tracked.identity(made_spec(), {"git": None, "versions": {}}) == bare
    assert tracked.identity(made_spec(), {}) == bare
