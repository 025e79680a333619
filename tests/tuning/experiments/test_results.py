"""Winners are compared on fresh seeds, paired by user and by seed."""

from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from tests.recmodels.factories import checkerboard
from tests.recmodels.pretended_gpu import Pretended
from tests.tuning.experiments.factories import Driver, made_experiment
from tests.tuning.factories import made_confirmation, made_folder
from tuning.cli.experiment import show
from tuning.experiments.experiment_report import write_result
from tuning.experiments.results import TestedRuns, read_results, saved_results, visible_tests
from tuning.experiments.runner import run_experiment
from tuning.export.winner import export_best

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


def test_the_results_that_were_saved_are_the_results() -> None:
    data, asked = checkerboard(), made_experiment()
    assert saved_results(asked) is None
    assert run_experiment(asked, Driver(data))
    results = read_results(asked, data)
    write_result(asked, results, None)
    assert saved_results(asked) == results


def test_the_test_metrics_of_a_search_are_seen_when_its_winner_is_exported(tmp_path: Path) -> None:
    def seen() -> dict[str, float]:
        return {name: test["recall@20"] for name, test in visible_tests(folder, folder.spec()).items()}

    folder = made_folder(tmp_path, trials=3, strategy="mg", space={"strategy": {"beta": 0.2}})
    assert seen() == {}  # it may be running
    export_best(folder.spec(), folder.contenders()[0], {"recall@20": 0.5}, folder, print)
    assert list(seen()) == ["0002"]
    spec = folder.spec()
    folder.write_spec(spec.model_copy(update={"awaits_confirmation": True}))
    assert seen() == {}
    folder.confirmation.write_text(made_confirmation("0001").to_yaml())
    assert list(seen()) == ["0001"]
    folder.write_spec(spec.model_copy(update={"show_test": True}))
    assert sorted(seen()) == ["0000", "0001", "0002"]
