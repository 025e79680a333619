"""Winners are compared on fresh seeds, paired by user and by seed."""

from statistics import fmean

import pytest
from rich.console import Console

from tests.recmodels.factories import checkerboard
from tests.recmodels.pretended_gpu import Pretended
from tests.tuning.experiments.factories import Driver, made_experiment
from tuning.cli.experiment import show
from tuning.experiments.results import TestedRuns, read_results
from tuning.experiments.runner import run_experiment

pytestmark = pytest.mark.usefixtures("here")


def test_winners_are_trained_on_fresh_seeds_and_tested_against_plain() -> None:
    data, asked = checkerboard(), made_experiment()
    driver = Driver(data)
    assert run_experiment(asked, driver)
    results = read_results(asked, data)
    assert driver.ran == ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds", "c-sam", "c-sam-seeds"]
    assert [result.strategy for result in results] == ["plain", "mg", "sam"]
    for result in results:
        assert result.best is not None
        assert result.best.seed == 999
        assert [record.seed for record in result.tested] == [1000, 1001]
        assert {record.params["strategy"] == result.best.params["strategy"] for record in result.tested} == {True}
    plain, mg, _ = results
    assert (plain.users, plain.seeds) == (None, None)
    assert mg.users is not None
    assert mg.users.n == 10  # those with a test positive
    assert mg.seeds is not None
    assert mg.seeds.n == 2
    means = [fmean(result.test("recall@1")) for result in results]
    difference = means[1] - means[0]
    assert mg.users.difference == pytest.approx(difference)
    assert mg.seeds.difference == pytest.approx(difference)
    assert [result.per_epoch("passes") for result in results] == [1, 2, 2]  # one batch an epoch, which is mirrored
    assert run_experiment(asked, driver)
    assert read_results(asked, data) == results
    assert len(driver.ran) == 6  # all of it was done


def test_without_seeds_the_winners_themselves_are_compared() -> None:
    data, asked = checkerboard(), made_experiment(confirm_seeds=0)
    driver = Driver(data)
    assert run_experiment(asked, driver)
    results = read_results(asked, data)
    assert driver.ran == ["c-plain", "c-mg", "c-sam"]
    assert [[record.seed for record in result.tested] for result in results] == [[999]] * 3
    assert all(result.seeds is None for result in results)
    assert results[1].users is not None


def test_scores_by_user_are_those_of_the_recorded_weights() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    run_experiment(asked, Driver(data))
    runs = TestedRuns(asked, asked.searches[1], data)
    for seed in runs.tested:
        assert fmean(runs.by_user[seed].values()) == pytest.approx(runs.tests[seed]["recall@1"])
    assert [*runs.by_user[1000]] == data.test.users.tolist()


@pytest.mark.parametrize("model", ["LightGCN", "MMGCN"])
def test_scores_by_user_come_from_the_device_of_the_trial(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So that their mean is the recorded test metric, to the digit; on the CPU where torch can use no GPU."""
    data, asked = checkerboard(), made_experiment(compare="mg", model=model)
    with Pretended() as gpu:
        run_experiment(asked, Driver(data, device="cuda"))
        gpu.forget()
        runs = TestedRuns(asked, asked.searches[1], data)
        for seed, record in runs.tested.items():
            assert record.device == "cuda"
            assert fmean(runs.by_user[seed].values()) == pytest.approx(runs.tests[seed]["recall@1"], rel=1e-15)
        assert gpu.kernels > 0
        on_gpu = runs.by_user
    assert TestedRuns(asked, asked.searches[1], data).by_user == on_gpu
    show(asked, read_results(asked, data), Console(width=200))
    warning = "warning: trained on a GPU, and torch can use none here"
    assert capsys.readouterr().out.count(warning) == 1
