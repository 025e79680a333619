"""A comparison on a made data set: its searches are stood in for by trials that train here, without Ray."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from tests.recmodels.factories import checkerboard
from tuning.cli.options import new_comparison
from tuning.execution.ray_tune.recorder import record_of
from tuning.execution.trial import run_trial
from tuning.experiments import comparison, comparison_report
from tuning.experiments.comparison import Comparison, folder_of, run_comparison
from tuning.records.folder import SearchFolder
from tuning.search import Outcome
from tuning.spec import SearchSpec
from tuning.yaml_document import to_yaml

GIVEN: dict[str, Any] = {
    "model": "LightGCN",
    "dataset": "demo",
    "set": ["embedding_size=4"],
    "max_epochs": "3",
    "metric": "recall@1",
    "trials": "2",
    "output_dir": "searches",
    "name": "c",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(**given: Any) -> Comparison:
    return new_comparison(GIVEN | {"compare": "mg,sam", "seeds": "2"} | given)


class Driver:
    """Runs each trial that a search wants in this process; interrupted in the search of this name."""

    def __init__(self, data: RecDataset, stop_in: str = ""):
        self.data, self.stop_in, self.ran = data, stop_in, list[str]()

    def __call__(self, spec: SearchSpec, folder: SearchFolder) -> Outcome:
        self.ran.append(spec.name)
        folder.write_spec(spec)
        folder.write_environment({"popularity": None})
        space = spec.space
        point = space.default_point() or {}
        for number in range(spec.budget.trials if spec.repeat_seeds else 1):
            trial = folder.trial(f"{number:04}")
            seed = spec.training.seed + (number if spec.repeat_seeds else 0)
            plan = {"trial": trial.name, "strategy": spec.strategy, "params": space.resolve(point), "point": point}
            plan |= {"seed": seed, "threads": 1, "device": "cpu", "time": 0.0}
            trial.write_plan(plan)
            run_trial(
                plan, model=spec.model, data=self.data, training=spec.training, folder=trial, report=lambda row: None
            )
            folder.append_record(record_of(trial, None, None))
        return Outcome([], None, None, spec.name == self.stop_in, 0, None)


def test_every_strategy_has_the_same_search_but_for_its_knobs() -> None:
    asked = made(compare="sam,mg", controls=True, set=["rho=0.1", "strategy.interval=5", "reg_weight=0.1"])
    assert [spec.strategy for spec in asked.searches] == ["plain", "sam", "mg", "plain_lr", "plain_repeat"]
    assert len({spec.name for spec in asked.searches}) == 5
    alike = [spec.model_dump(exclude={"name", "strategy", "space"}) for spec in asked.searches]
    assert all(each == alike[0] for each in alike)
    bases = [{part: spec.space.to_data()[part] for part in ("train", "model")} for spec in asked.searches]
    assert all(base == bases[0] for base in bases)
    assert bases[0]["model"]["reg_weight"] == 0.1
    knobs = {spec.strategy: spec.space.to_data()["strategy"] for spec in asked.searches}
    assert knobs["plain"] == {}
    assert knobs["sam"]["rho"] == 0.1
    assert (knobs["mg"]["interval"], knobs["plain_repeat"]["interval"]) == (5, 5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"compare": "mg,smg"}, "--compare smg: there is no strategy 'smg'"),
        ({"compare": "sam+asam"}, "--compare sam+asam: sam+asam: sam and asam are each a whole oracle"),
        ({"strategy": "mg"}, "--strategy: has no meaning with --compare"),
        ({"tune": "mg"}, "--tune mg: expected one of strategy, base, all with --compare"),
        ({"seeds": "-1"}, "--seeds: "),
        ({"set": ["rhoo=0.1"]}, "--set rhoo=0.1: no parameter 'rhoo'"),
    ],
)
def test_what_cannot_be_compared(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        made(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_winners_are_trained_on_fresh_seeds_and_tested_against_plain(here: Path) -> None:
    data, asked = checkerboard(), made()
    driver = Driver(data)
    lines = run_comparison(asked, data, driver)
    assert lines is not None
    assert driver.ran == ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds", "c-sam", "c-sam-seeds"]
    assert [line.strategy for line in lines] == ["plain", "mg", "sam"]
    for line in lines:
        assert line.best is not None
        assert line.best.seed == 999
        assert [record.seed for record in line.tested] == [1000, 1001]
        assert {record.params["strategy"] == line.best.params["strategy"] for record in line.tested} == {True}
    plain, mg, _ = lines
    assert (plain.users, plain.seeds) == (None, None)
    assert mg.users is not None
    assert mg.users.n == 10  # those with a test positive
    assert mg.seeds is not None
    assert mg.seeds.n == 2
    means = [fmean(record.test["recall@1"] for record in line.tested) for line in lines]
    difference = means[1] - means[0]
    assert mg.users.difference == pytest.approx(difference)
    assert mg.seeds.difference == pytest.approx(difference)
    assert [line.passes_per_epoch for line in lines] == [1, 2, 2]  # one batch an epoch, which is mirrored
    assert run_comparison(asked, data, driver) == lines
    assert len(driver.ran) == 6  # all of it was done


def test_without_seeds_the_winners_themselves_are_compared(here: Path) -> None:
    data = checkerboard()
    driver = Driver(data)
    lines = run_comparison(made(seeds="0"), data, driver)
    assert lines is not None
    assert driver.ran == ["c-plain", "c-mg", "c-sam"]
    assert [[record.seed for record in line.tested] for line in lines] == [[999]] * 3
    assert all(line.seeds is None for line in lines)
    assert lines[1].users is not None


def test_an_interrupted_comparison_goes_on_where_it_was(here: Path) -> None:
    data, asked = checkerboard(), made(compare="mg")
    assert run_comparison(asked, data, Driver(data, stop_in="c-mg")) is None
    again = Comparison.read(asked.folder / "comparison.yaml")
    assert again == asked
    driver = Driver(data)
    assert run_comparison(again, data, driver) is not None
    assert driver.ran == ["c-mg", "c-mg-seeds"]


def test_scores_by_user_are_those_of_the_recorded_weights(here: Path) -> None:
    data, asked = checkerboard(), made(compare="mg")
    run_comparison(asked, data, Driver(data))
    runs = comparison._Runs(asked, asked.searches[1], data)
    for seed, record in runs.tested.items():
        assert fmean(runs.by_user[seed].values()) == pytest.approx(record.test["recall@1"])
    assert [*runs.by_user[1000]] == data.test.users.tolist()


def test_the_result_is_written_for_people_and_programs(here: Path) -> None:
    data, asked = checkerboard(), made(compare="bsam", controls=True)
    lines = run_comparison(asked, data, Driver(data))
    assert lines is not None
    popularity = {split: {"recall@1": 0.125} for split in ("valid", "test")}
    comparison_report.write_result(asked, lines, popularity)
    text = (asked.folder / "result.md").read_text()
    header, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert header.split(" | ")[0] == "| strategy"
    assert [row.split(" | ")[0] for row in rows] == [
        "| plain", "| bsam*", "| plain_lr", "| plain_repeat", "| popularity",
    ]  # fmt: skip
    assert "0.125" in rows[-1]
    assert "Reconstructions, not to be taken for the results of their papers: bsam." in text
    assert "bsam: " in text
    for floor, weak in ((0.0, False), (1.5, True)):
        said = comparison_report.remarks(asked, lines, {"test": {"recall@1": floor}})
        assert any("Below popularity on test (1.5): plain, bsam, plain_lr" in remark for remark in said) == weak
    content = json.loads((asked.folder / "result.json").read_text())
    assert content["strategies"][1]["best"] == json.loads(json.dumps(asdict(lines[1])))["best"]
    assert content["strategies"][1]["users"]["n"] == 10


def test_a_strategy_whose_trials_all_failed_has_a_line_without_figures(here: Path) -> None:
    data, asked = checkerboard(), made(compare="mg")
    run_comparison(asked, data, Driver(data))
    spec = asked.searches[1]
    for folder in (folder_of(spec), SearchFolder(folder_of(spec).path.with_name("c-mg-seeds"))):
        (folder.path / "ledger.jsonl").unlink()
    lines = comparison.lines(asked, data)
    assert (lines[1].best, lines[1].tested, lines[1].users, lines[1].seeds) == (None, [], None, None)
    assert comparison_report.rows(lines, None, "recall@1")[1][3:] == ["-"] * 8
    assert any(remark.startswith("mg: nothing to compare") for remark in comparison_report.remarks(asked, lines, None))


def test_a_file_that_is_no_comparison(here: Path) -> None:
    (here / "comparison.yaml").write_text(to_yaml({"name": "c"}))
    with pytest.raises(UserError, match=r"comparison\.yaml: searches: Field required"):
        Comparison.read(here / "comparison.yaml")
