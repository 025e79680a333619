import getpass
import math
from dataclasses import replace

from tests.tuning.factories import ENVIRONMENT, made_plan, made_row, made_spec
from tuning.records.trials import TrialPlan, TrialResult, record_of
from tuning.space.catalogue import search_space
from tuning.tracking import points

PLAN = TrialPlan(
    trial="0000", role="search", strategy="mg", params={}, point={}, seed=3, threads=1, device="cpu", time=0.0
)


def test_an_epoch_makes_points_at_its_step_and_time():
    rows = [made_row("0000", 1), made_row("0000", 2, valid={"recall@20": 0.5}, best=0.5)]
    assert list(points.epoch_points(rows, "recall@20", {1})) == [
        ("total_passes", 6.0, 1_700_000_002_000, 2),
        ("best/valid/recall_at_20", 0.5, 1_700_000_002_000, 2),
        ("valid/recall_at_20", 0.5, 1_700_000_002_000, 2),
        ("loss", 0.5, 1_700_000_002_000, 2),
        ("terms/bpr", 0.5, 1_700_000_002_000, 2),
        ("passes", 3.0, 1_700_000_002_000, 2),
        ("steps", 2.0, 1_700_000_002_000, 2),
        ("skipped", 0.0, 1_700_000_002_000, 2),
        ("valid_seconds", 0.25, 1_700_000_002_000, 2),
        ("epoch_seconds", 0.75, 1_700_000_002_000, 2),
    ]


def test_an_epoch_that_was_not_evaluated_has_no_points_of_validation():
    """Nor are they named as not finite."""
    before, after = (
        made_row("0000", 2, valid={}, valid_seconds=0.0, flatness={"sharpness": 0.1}, best=best, best_epoch=epoch)
        for best, epoch in ((None, None), (0.5, 1))
    )
    for row in (before, after):
        assert [(point.name, point.step) for point in points.epoch_points([row], "recall@20")] == [
            ("total_passes", 2),
            ("loss", 2),
            ("terms/bpr", 2),
            ("flatness/sharpness", 2),
            ("passes", 2),
            ("steps", 2),
            ("skipped", 2),
            (points.LAST_POINT_OF_EPOCH, 2),
        ]
    assert points.non_finite(points.epoch_values(row, "recall@20") for row in (before, after)) == []


def test_values_that_are_no_finite_numbers_make_no_points_but_are_named():
    row = made_row("0000", 1, loss=math.nan, terms={}, best=math.inf, valid={"recall@20": math.nan, "hit@5": math.inf})
    assert [point.name for point in points.epoch_points([row], "recall@20")] == [
        "total_passes",
        "passes",
        "steps",
        "skipped",
        "valid_seconds",
        "epoch_seconds",
    ]
    values = [points.epoch_values(each, "recall@20") for each in (row, made_row("0000", 2))]
    names = ["best/valid/recall_at_20", "loss", "valid/hit_at_5", "valid/recall_at_20"]
    assert points.non_finite(values) == names


def test_a_winner_is_known_by_its_strategy_s_numbers_and_by_what_was_searched():
    space = search_space("LightGCN", "mg", "demo", tune="all", overrides=["n_layers=2"])
    params = {
        "strategy": {"alpha": 1.5, "beta": 0.5, "interval": 3, "phase": "epoch_first", "sync_rng": False},
        "train": {"learning_rate": 0.01, "batch_size": 2048},
        "model": {"n_layers": 2, "reg_weight": 1e-3},
    }
    record = record_of(made_plan(params=params), [made_row("0000", 1)], TrialResult("finished", ""))
    values = points.knob_values(made_spec(model="LightGCN", space=space), record)
    assert values == {
        "best/alpha": 1.5, "best/beta": 0.5, "best/interval": 3.0, "best/learning_rate": 0.01, "best/reg_weight": 0.001
    }  # fmt: skip


def test_parameters_are_flat_and_a_name_used_twice_keeps_its_section():
    params = {"strategy": {"alpha": 1.0, "rho": 0.1}, "train": {}, "model": {"rho": [1, 2]}}
    assert points.trial_params(replace(PLAN, params=params)) == {
        "alpha": "1.0",
        "rho": "0.1",
        "model.rho": "[1, 2]",
        "strategy": "mg",
        "seed": "3",
        "threads": "1",
        "device": "cpu",
    }


def test_a_long_parameter_is_cut():
    value = points.trial_params(replace(PLAN, params={"model": {"layers": "x" * 7000}}))["layers"]
    assert len(value) == points.TEXT_LIMIT
    assert value.endswith("x...")


def test_a_search_says_how_many_values_of_earlier_ones_it_was_told():
    known = [{"point": {}, "source": "old/0000", "value": 0.5}, {"point": {}, "source": "old/0000"}]
    assert points.search_params(made_spec(warm_start={"points": known}))["told"] == "1"
    assert "told" not in points.search_params(made_spec())


def test_identity_holds_what_the_environment_says():
    environment = replace(ENVIRONMENT, versions={"torch": "2.13", "python": "3.11"})
    assert points.identity(made_spec(), environment) == {
        "mirrortune.search": "made",
        "model": "BPR",
        "dataset": "demo",
        "strategy": "mg",
        "data_fingerprint": "f1n9e2",
        "user": getpass.getuser(),
        "source": "run_search.py",
        "git_commit": "c0ffee",
        "git_dirty": "False",
        "version.torch": "2.13",
    }


def test_identity_without_checkout_or_record():
    bare = {"mirrortune.search": "made", "model": "BPR", "dataset": "demo", "strategy": "mg"}
    unknown = replace(ENVIRONMENT, git=None, versions={})
    bare["user"] = getpass.getuser()
    assert points.identity(made_spec(), unknown) == bare | {"source": "run_search.py", "data_fingerprint": "f1n9e2"}
    assert points.identity(made_spec(), None) == bare
