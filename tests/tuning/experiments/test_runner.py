"""The searches of an experiment run one after the other; an interrupted experiment goes on where it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recmodels.factories import checkerboard
from tests.tuning.experiments.factories import Driver, made_experiment
from tests.tuning.factories import end_trial, made_trial
from tuning.experiments.confirmed import confirmed
from tuning.experiments.experiment import Experiment
from tuning.experiments.results import read_results
from tuning.experiments.runner import as_it_runs, run_experiment
from tuning.records.folder import SearchFolder
from tuning.spec import SearchSpec
from tuning.yaml_document import parse_yaml, to_yaml

pytestmark = pytest.mark.usefixtures("here")


def test_an_interrupted_experiment_goes_on_where_it_was() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    assert not run_experiment(asked, Driver(data, stop_in="c-mg"))
    again = Experiment.in_folder(asked.folder)
    assert again == asked
    driver = Driver(data)
    assert run_experiment(again, driver)
    assert driver.ran == ["c-mg", "c-mg-seeds"]


def test_searches_that_ended_are_resumed_once_to_open_their_test_metrics() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    assert run_experiment(asked, Driver(data))
    shown = made_experiment(compare="mg", show_test=True)
    again = Driver(data)
    assert run_experiment(shown, again)
    assert again.ran == ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds"]
    assert run_experiment(shown, idle := Driver(data))
    assert idle.ran == []
    assert len((asked.folder / "done.jsonl").read_text().splitlines()) == 4


def test_an_experiment_goes_on_in_a_confirmation_with_what_it_had_chosen_to_confirm() -> None:
    """A search that is extended in between does not change what is confirmed, nor the base of the next search."""
    data, asked = checkerboard(), made_experiment(compare="mg", tune_base=None, confirm_top=2)
    assert asked.on_base
    assert not run_experiment(asked, Driver(data, stop_in="c-plain-seeds", corners=True))
    folder = SearchFolder.of(asked.searches[0])
    chosen = confirmed(asked, asked.searches[0])
    better(folder, "0007")
    assert chosen is not None
    assert len(chosen.configurations) == 2
    assert confirmed(asked, asked.searches[0]) == chosen
    assert not run_experiment(asked, Driver(data, stop_in="c-mg", corners=True))
    base = as_it_runs(asked, 1)
    assert base is not None
    assert base.space.to_data()["model"] == chosen.chosen.found.params["model"]
    better(SearchFolder(folder.path.with_name("c-plain-seeds")), "0009")
    assert as_it_runs(asked, 1) == base
    assert run_experiment(asked, driver := Driver(data))
    assert driver.ran == ["c-mg", "c-mg-seeds"]
    records = SearchFolder(folder.path.with_name("c-plain-seeds")).ledger()
    assert sorted(records) == ["0000", "0001", "0002", "0003", "0009"]


def better(folder: SearchFolder, name: str) -> None:
    """Enter a trial that is better than all others."""
    made_trial(folder, name, epochs=900)
    end_trial(folder, name)


def test_the_strategies_search_on_the_base_that_was_confirmed() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg,sam", tune_base=3, trials="1", confirm_top=3)
    assert [spec.budget.trials for spec in asked.searches] == [3, 1, 1]
    assert {"n_layers", "reg_weight", "learning_rate"} <= set(asked.searches[0].space.dimensions)
    assert run_experiment(asked, Driver(data, corners=True))
    plain, *others = read_results(asked, data)
    assert plain.chosen is not None
    assert plain.confirmed is not None
    assert len({config.found.trial for config in plain.confirmed.configurations}) == 3
    for result in others:
        assert result.chosen is not None
        assert {name: result.chosen.params[name] for name in ("train", "model")} == {
            name: plain.chosen.params[name] for name in ("train", "model")
        }


def test_without_a_base_nothing_is_searched_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trials of the reference have failed."""
    data, asked = checkerboard(), made_experiment(compare="mg", tune_base=None)

    def failing(spec: SearchSpec) -> bool:
        folder = SearchFolder.of(spec)
        folder.write_spec(spec)
        made_trial(folder, "0000", epochs=0)
        end_trial(folder, "0000", "failed", "the loss became inf")
        return True

    assert run_experiment(asked, failing)
    assert not SearchFolder.of(asked.searches[1]).exists()
    plain, mg = read_results(asked, data)
    assert (plain.trials, plain.chosen, mg.trials, mg.chosen) == (1, None, 0, None)


def test_trials_that_ran_out_of_memory_are_tried_again_by_a_resume() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")

    class Short(Driver):
        def __call__(self, spec: SearchSpec) -> bool:
            done = super().__call__(spec)
            if spec.name == "c-plain-seeds":
                folder = SearchFolder.of(spec)
                folder.trial("0007").write_plan(replace(folder.trial("0000").plan(), trial="0007", seed=1007))
                folder.trial("0007").write_out_of_memory("no room")
            return done

    assert run_experiment(asked, Short(data))
    assert run_experiment(asked, again := Driver(data))
    assert again.ran == ["c-plain-seeds"]


def test_a_comparison_from_before_there_were_experiments_goes_on(here: Path) -> None:
    """Its winners alone are confirmed, the reference is not tuned, and no name of a search is another."""
    data, asked = checkerboard(), made_experiment(compare="mg")
    content = parse_yaml(asked.to_yaml(), "text").data
    for spec in content["searches"]:
        for key in ("confirmed", "awaits_confirmation", "show_test"):
            del spec[key]
    older = {key: content[key] for key in ("format", "name", "searches")} | {"seeds": 2}
    asked.folder.mkdir(parents=True)
    (asked.folder / "comparison.yaml").write_text(to_yaml(older))
    again = Experiment.in_folder(asked.folder)
    assert (again.confirm.top, again.confirm.seeds, again.on_base) == (1, 2, False)
    assert run_experiment(again, driver := Driver(data))
    assert driver.ran == ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds"]
    assert Experiment.in_folder(asked.folder) == again


def test_a_confirmation_from_before_there_were_several_configurations_counts(here: Path) -> None:
    """Its one configuration is that of its space, whose parameters are all fixed."""
    data, asked = checkerboard(), made_experiment(compare="mg")
    assert run_experiment(asked, Driver(data))
    before = read_results(asked, data)
    for strategy in ("plain", "mg"):
        folder = SearchFolder(asked.folder.with_name(f"c-{strategy}-seeds"))
        (record, *_) = folder.ledger().values()
        older = folder.spec().model_dump() | {"space": record.params, "confirmed": ()}
        folder.write_spec(SearchSpec.model_validate(older))
    assert read_results(asked, data) == before
