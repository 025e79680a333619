"""Delivery into a store that has MLflow's rules and can break at any call, before or after it has done its work."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.tuning.factories import (
    ENVIRONMENT,
    end_trial,
    made_confirmation,
    made_folder,
    made_plan,
    made_row,
    made_spec,
    made_trial,
)
from tuning.records import TrialRecord
from tuning.records.environment import DataFacts
from tuning.records.folder import SearchFolder
from tuning.records.run_ids import RunIds
from tuning.tracking.delivery import LAYOUT, Delivery, Ending
from tuning.tracking.points import Point
from tuning.tracking.store import SEARCH, Store, StoredRun


class RefusalError(Exception):
    pass


class FakeStore(Store):
    """Equal points are kept once, a parameter keeps its value; `breaks`: number of the call that fails."""

    title = "Fake"
    experiment = "1"

    def __init__(self, breaks: int | None = None, after: bool = False) -> None:
        self.breaks, self.after, self.calls = breaks, after, 0
        self.runs: dict[str, dict[str, Any]] = {}
        self.refuses: set[str] = set()
        self.takes_files = True
        self.sent = 0  # points

    def _call(self, work: Callable[[], Any]) -> Any:
        self.calls += 1
        broken = self.calls == self.breaks
        if broken and not self.after:
            raise OSError("no answer")
        result = work()
        if broken:
            raise OSError("the answer was lost")
        return result

    def named(self) -> dict[str, dict[str, Any]]:
        """Runs by trial; fails if one is there twice."""
        by_name = [(run["tags"].get("mirrortune.trial", SEARCH), run) for run in self.runs.values()]
        assert len(dict(by_name)) == len(by_name)
        return dict(by_name)

    def _view(self, run_id: str) -> StoredRun:
        run = self.runs[run_id]
        return StoredRun(run_id, run["state"], dict(run["tags"]), dict(run["params"]))

    def find(self, search_id: str, known: Mapping[str, str]) -> dict[str, StoredRun]:
        ids = [run_id for run_id, run in self.runs.items() if run["tags"]["mirrortune.search_id"] == search_id]
        runs = self._call(lambda: [self._view(run_id) for run_id in ids])
        return {run.tags.get("mirrortune.trial", SEARCH): run for run in runs}

    def create(self, title: str, start: float, tags: Mapping[str, str], parent: str | None) -> StoredRun:
        def work() -> StoredRun:
            run_id = f"id{len(self.runs)}"
            self.runs[run_id] = {
                "title": title, "state": "RUNNING", "tags": dict(tags), "params": {}, "points": set(), "files": set(),
                "parent": parent, "page": "", "data": set(), "metrics": [],
            }  # fmt: skip
            return self._view(run_id)

        return self._call(work)

    def reopen(self, run_id: str) -> None:
        self._call(lambda: self.runs[run_id].update(state="RUNNING"))

    def epochs(self, run_id: str) -> set[int]:
        return self._call(lambda: {p.step for p in self.runs[run_id]["points"] if p.name == "epoch_seconds"})

    def log(self, run_id: str, points: list[Point], tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        def work() -> None:
            run = self.runs[run_id]
            if run["tags"].get("mirrortune.trial") in self.refuses:
                raise RefusalError("no")
            assert all(run["params"].get(key, value) == value for key, value in params.items())
            run["metrics"] += [name for name in dict.fromkeys(p.name for p in points) if name not in run["metrics"]]
            run["points"] |= set(points)
            run["tags"] |= tags
            run["params"] |= params
            self.sent += len(points)

        self._call(work)

    def uses(self, run_id: str, data: DataFacts, place: str) -> None:
        self._call(lambda: self.runs[run_id]["data"].add((data, place)))

    def describe(self, run_id: str, markdown: str) -> None:
        self._call(lambda: self.runs[run_id].update(page=markdown))

    def end(self, run_id: str, state: str, seconds: float) -> None:
        self._call(lambda: self.runs[run_id].update(state=state))

    def upload(self, run_id: str, path: Path) -> None:
        if not self.takes_files:
            raise PermissionError(path.name)
        self._call(lambda: self.runs[run_id]["files"].add(path.name))

    def refused(self, error: Exception) -> bool:
        return isinstance(error, RefusalError)


def new_delivery(folder: SearchFolder, store: FakeStore) -> Delivery:
    return Delivery(folder, folder.spec(), store, RunIds(folder, "here"), lambda records, tests: "# made", Event())


class Process:
    """Delivers as the tracker does: after a failure the next round starts anew; only the last round is repeated."""

    def __init__(self, folder: SearchFolder, store: FakeStore) -> None:
        self.folder, self.store = folder, store
        self.delivery: Delivery | None = None

    def sync(self, ending: Ending | None = None) -> bool:
        try:
            self.delivery = self.delivery or new_delivery(self.folder, self.store)
            self.delivery.sync(ending)
        except OSError:
            self.delivery = None
        return self.delivery is not None


def a_search_with_an_interruption(tmp_path: Path, store: FakeStore) -> None:
    """0000 finishes; 0001 reaches epoch 3, is restored at 1 after the interruption, and is pruned after 4."""
    folder = made_folder(tmp_path, trials=0)
    first = Process(folder, store)
    first.sync()
    made_trial(folder, "0000", epochs=2)
    made_trial(folder, "0001", epochs=3)
    first.sync()
    end_trial(folder, "0000")
    first.sync()
    first.sync("interrupted")
    trial = folder.trial("0001")
    second = Process(folder, store)
    second.sync()
    trial.forget_epochs_after(1)
    for epoch in (2, 3, 4):
        trial.append_epoch(made_row("0001", epoch, time=1_700_001_000.0 + epoch))
        second.sync()
    end_trial(folder, "0001", "pruned", "asha")
    assert second.sync("finished") or second.sync("finished")


def steps(run: dict[str, Any], name: str) -> list[int]:
    return sorted(point.step for point in run["points"] if point.name == name)


def check(store: FakeStore) -> None:
    runs = store.named()
    assert set(runs) == {SEARCH, "0000", "0001"}
    assert {name: run["state"] for name, run in runs.items()} == dict.fromkeys(runs, "FINISHED")
    assert {name: run["tags"]["status"] for name, run in runs.items()} == {
        SEARCH: "finished", "0000": "finished", "0001": "pruned"
    }  # fmt: skip
    assert steps(runs["0000"], "valid/recall_at_20") == [1, 2]
    assert steps(runs["0001"], "valid/recall_at_20") == [1, 2, 3, 4]
    assert steps(runs["0000"], "best/valid/recall_at_20") == [1, 2]
    assert steps(runs["0001"], "best/valid/recall_at_20") == [1, 2, 3, 4]
    assert steps(runs["0001"], "various/best/valid/ndcg_at_20") == [4]
    for run in runs.values():
        at = [(point.name, point.step) for point in run["points"]]
        assert len(at) == len(set(at))  # nothing is there twice
    assert steps(runs["0000"], "test/recall_at_20") == [2]  # the winner's, at the end
    assert steps(runs["0001"], "test/recall_at_20") == []
    assert [runs[name]["parent"] for name in (SEARCH, "0000", "0001")] == [None, *[next(iter(store.runs))] * 2]
    assert runs[SEARCH]["page"] == "# made"
    assert runs["0001"]["params"]["beta"] == "0.25"
    assert (runs[SEARCH]["tags"]["winner"], steps(runs[SEARCH], "various/best/epoch")) == ("0000", [1])
    assert runs[SEARCH]["files"] == {"spec.yaml", "environment.json"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_break_at_any_call_changes_nothing(tmp_path, after):
    whole = FakeStore()
    a_search_with_an_interruption(tmp_path / "whole", whole)
    check(whole)
    for call in range(1, whole.calls + 1):
        store = FakeStore(breaks=call, after=after)
        a_search_with_an_interruption(tmp_path / str(call), store)
        check(store)


def test_a_second_delivery_of_an_ended_search_sends_no_epoch_again(tmp_path):
    folder, store = made_folder(tmp_path, trials=3, epochs=4), FakeStore()
    new_delivery(folder, store).sync("finished")
    folder.tracking.unlink()
    before, store.sent = store.named(), 0
    new_delivery(folder, store).sync("finished")
    assert store.named() == before
    # The winner's 20 validation and 20 test metrics, its epoch, alpha, beta and interval, on the search's run.
    assert store.sent == 44


def test_a_run_s_name_says_what_it_is(tmp_path):
    folder, store = made_folder(tmp_path, trials=1, baseline=True, model="GRCN", dataset="tiktok"), FakeStore()
    new_delivery(folder, store).sync("finished")
    titles = {run["title"] for run in store.runs.values()}
    assert titles == {"made", "GRCN-tiktok-mg 0000", "GRCN-tiktok-plain baseline"}
    again = made_folder(tmp_path / "again", trials=0, name="made-seeds", role="confirmation")
    again.trial("0000").write_plan(made_plan(role="confirmation", seed=1000))
    new_delivery(again, store).sync("finished")
    assert "BPR-demo-mg 0000, seed 1000" in {run["title"] for run in store.runs.values()}


def test_every_run_says_which_data_it_uses(tmp_path):
    folder, store = made_folder(tmp_path, trials=1, data_dir="my data"), FakeStore()
    for _ in range(2):
        new_delivery(folder, store).sync("finished")
    expected = {(ENVIRONMENT.data, "my data/demo")}
    assert [(run["title"], run["data"]) for run in store.runs.values()] == [
        ("made", expected), ("BPR-demo-mg 0000", expected)
    ]  # fmt: skip


def test_the_metric_that_decides_is_the_first_one_and_waited_for(tmp_path):
    """MLflow's page that compares runs takes the first metric of the first run."""
    folder, store = made_folder(tmp_path, trials=0, training={"metric": "ndcg@10", "eval_every": 2}), FakeStore()
    made_trial(folder, "0000", epochs=0)
    delivery = new_delivery(folder, store)
    folder.trial("0000").append_epoch(made_row("0000", 1, valid={}, best=None, best_epoch=None))
    delivery.sync(None)
    assert store.named()["0000"]["metrics"] == []
    folder.trial("0000").append_epoch(made_row("0000", 2))
    delivery.sync(None)
    end_trial(folder, "0000")
    delivery.sync("finished")
    for name in (SEARCH, "0000"):
        assert store.named()[name]["metrics"][0] == "best/valid/ndcg_at_10"
    assert store.named()["0000"]["metrics"][1] == "valid/ndcg_at_10"
    assert steps(store.named()["0000"], "loss") == [1, 2]


def test_of_forty_names_few_stand_before_the_rest(tmp_path):
    folder, store = made_folder(tmp_path, trials=2), FakeStore()
    new_delivery(folder, store).sync("finished")
    front = {
        name: [metric for metric in sorted(run["metrics"]) if not metric.startswith("various/")]
        for name, run in store.named().items()
    }
    assert front["0000"] == [
        "best/valid/recall_at_20", "epoch_seconds", "loss", "total_passes", "valid/recall_at_20"
    ]  # fmt: skip
    assert front[SEARCH] == [
        "best/alpha", "best/beta", "best/interval", "best/test/recall_at_20", "best/valid/recall_at_20"
    ]  # fmt: skip
    for run in store.named().values():
        assert {metric for metric in run["metrics"] if metric > "various"} <= {
            metric for metric in run["metrics"] if metric.startswith("various/")
        }


def test_passes_are_an_axis_of_the_curves(tmp_path):
    folder, store = made_folder(tmp_path, trials=1, epochs=3), FakeStore()
    new_delivery(folder, store).sync("finished")
    points = store.named()["0000"]["points"]
    assert {p.step: p.value for p in points if p.name == "total_passes"} == {1: 3, 2: 6, 3: 9}


def test_a_run_of_an_older_version_keeps_the_names_of_its_metrics(tmp_path):
    """Its curves go on under the names that they have, and nothing is there twice."""
    folder, store = made_folder(tmp_path, trials=0), FakeStore()
    made_trial(folder, "0000", epochs=2)
    new_delivery(folder, store).sync("interrupted")
    for run in store.runs.values():
        del run["tags"][LAYOUT]
        names = {f"various/{name}": name for name in ("valid/ndcg_at_20", "steps")} | {
            "best/valid/recall_at_20": "best"
        }
        run["points"] = {point._replace(name=names.get(point.name, point.name)) for point in run["points"]}
    delivery = new_delivery(folder, store)
    folder.trial("0000").append_epoch(made_row("0000", 3))
    delivery.sync(None)
    end_trial(folder, "0000")
    delivery.sync("finished")
    run = store.named()["0000"]
    assert steps(run, "valid/ndcg_at_20") == steps(run, "steps") == [1, 2, 3]
    assert steps(run, "best/valid/recall_at_20") == steps(run, "best/valid/ndcg_at_20") == [3]
    assert steps(run, "test/ndcg_at_20") == [3]
    assert "best/valid/ndcg_at_20" in {point.name for point in store.named()[SEARCH]["points"]}


def test_the_values_of_a_choice_on_fresh_seeds_are_the_last_ones_of_its_search(tmp_path):
    """A store shows the point with the largest step, whichever trial was the best before the choice."""
    folder, store = made_folder(tmp_path, trials=3, awaits_confirmation=True), FakeStore()
    new_delivery(folder, store).sync("finished")
    folder.confirmation.write_text(made_confirmation("0000").to_yaml())
    for _ in range(2):
        new_delivery(folder, store).sync("finished")
    found = [p for p in store.named()[SEARCH]["points"] if p.name == "best/valid/recall_at_20"]
    assert [(p.step, round(p.value, 5)) for p in sorted(found, key=lambda p: p.step)] == [(3, 0.03402), (4, 0.01402)]


def test_a_page_for_people_is_kept_with_the_search(tmp_path):
    folder, store = made_folder(tmp_path, trials=1), FakeStore()
    folder.report.write_text("<p>made</p>")
    new_delivery(folder, store).sync("finished")
    assert "report.html" in store.named()[SEARCH]["files"]


def with_test_metrics(store: FakeStore) -> set[str]:
    """The runs that have test metrics."""
    runs = store.named().items()
    return {name for name, run in runs if any("test/" in point.name for point in run["points"])}


def test_test_metrics_wait_for_the_end_and_are_the_winner_s_alone(tmp_path):
    folder, store = made_folder(tmp_path, trials=3, baseline=True), FakeStore()
    pages: list[dict[str, Any]] = []
    delivery = Delivery(
        folder, folder.spec(), store, RunIds(folder, "here"), lambda _, tests: str(pages.append({**tests})), Event()
    )
    delivery.sync(None)
    assert with_test_metrics(store) == set()
    delivery.sync("interrupted")
    assert with_test_metrics(store) == {SEARCH, "0002"}
    assert [page.keys() for page in pages] == [set(), {"0002"}]
    assert steps(store.named()["0002"], "test/recall_at_20") == [4]
    assert steps(store.named()[SEARCH], "best/test/recall_at_20") == [3]  # the third to end


def test_a_resume_may_open_the_rest_of_trials_that_ended_long_ago(tmp_path):
    folder, store = made_folder(tmp_path, trials=2, baseline=True), FakeStore()
    made_trial(folder, "0002", epochs=3)
    end_trial(folder, "0002", "pruned", "asha")
    new_delivery(folder, store).sync("finished")
    folder.write_spec(folder.spec().model_copy(update={"show_test": True}))
    delivery = new_delivery(folder, store)
    delivery.sync(None)
    everything = {SEARCH, "0000", "0001", "baseline"}
    assert with_test_metrics(store) == everything
    made_trial(folder, "0003", epochs=4)
    end_trial(folder, "0003")
    delivery.sync(None)
    assert with_test_metrics(store) == everything | {"0003"}
    delivery.sync("finished")
    before, store.sent = store.named(), 0
    new_delivery(folder, store).sync("finished")
    assert (store.named(), store.sent) == (before, 44)  # on the search's run, of its winner


def test_a_pruned_winner_s_test_metrics_arrive_when_it_has_been_evaluated(tmp_path):
    folder, store = made_folder(tmp_path, trials=0, show_test=True), FakeStore()
    made_trial(folder, "0000", epochs=3)
    end_trial(folder, "0000", "pruned", "asha")
    delivery = new_delivery(folder, store)
    delivery.sync(None)
    assert with_test_metrics(store) == set()
    folder.trial("0000").write_test({"recall@20": 0.5})
    delivery.sync("finished")
    assert with_test_metrics(store) == {SEARCH, "0000"}


def test_a_confirmation_opens_all_of_its_runs_at_its_end(tmp_path):
    folder, store = made_folder(tmp_path, trials=2, role="confirmation"), FakeStore()
    delivery = new_delivery(folder, store)
    delivery.sync(None)
    assert with_test_metrics(store) == set()
    delivery.sync("finished")
    assert with_test_metrics(store) == {"0000", "0001"}


def test_what_has_not_changed_is_not_read_or_sent_again(tmp_path, monkeypatch):
    folder, store = made_folder(tmp_path, trials=2), FakeStore()
    made_trial(folder, "0002", epochs=3)
    delivery = new_delivery(folder, store)
    delivery.sync(None)
    calls = store.calls
    monkeypatch.setattr("tuning.records.folder.TrialFolder.epochs", lambda self: pytest.fail("read again"))
    delivery.sync(None)
    assert store.calls == calls
    assert delivery.settled == {"0000", "0001"}


def test_a_refused_run_does_not_hold_up_the_others(tmp_path):
    folder, store = made_folder(tmp_path, trials=3), FakeStore()
    store.refuses = {"0000"}
    delivery = new_delivery(folder, store)
    with pytest.raises(RefusalError):
        delivery.sync("finished")
    assert delivery.settled == {"0001", "0002", SEARCH}


def test_a_run_that_takes_no_test_metrics_does_not_hold_up_the_others(tmp_path):
    folder, store = made_folder(tmp_path, trials=3), FakeStore()
    new_delivery(folder, store).sync("finished")
    folder.write_spec(folder.spec().model_copy(update={"show_test": True}))
    store.refuses = {"0000"}
    delivery = new_delivery(folder, store)
    with pytest.raises(RefusalError):
        delivery.sync("finished")
    assert with_test_metrics(store) == {SEARCH, "0001", "0002"}
    assert SEARCH in delivery.settled


def test_a_store_without_room_for_files_takes_the_rest(tmp_path):
    folder, store = made_folder(tmp_path, trials=1), FakeStore()
    store.takes_files = False
    delivery = new_delivery(folder, store)
    delivery.sync("finished")
    assert delivery.settled == {"0000", SEARCH}
    assert str(delivery.upload_error) == "spec.yaml"


def test_the_winner_of_the_moment_stands_on_the_search(tmp_path):
    folder, store = made_folder(tmp_path, trials=1), FakeStore()
    delivery = new_delivery(folder, store)
    delivery.sync(None)
    assert store.named()[SEARCH]["tags"]["winner"] == "0000"
    made_trial(folder, "0001", epochs=4)
    end_trial(folder, "0001")
    folder.best.write_text("trial: '0001'\n")
    delivery.sync(None)
    search = store.named()[SEARCH]
    assert search["tags"]["winner"] == "0001"
    assert (
        max((p for p in search["points"] if p.name == "best/valid/recall_at_20"), key=lambda p: p.step).value == 0.02402
    )
    assert "best.yaml" in search["files"]


def test_a_resumed_search_with_more_trials_keeps_its_first_parameters(tmp_path):
    folder, store = made_folder(tmp_path, trials=1, budget={"trials": 10}), FakeStore()
    new_delivery(folder, store).sync("finished")
    folder.write_spec(made_spec(budget={"trials": 20}))
    new_delivery(folder, store).sync("finished")
    search = store.named()[SEARCH]
    assert (search["params"]["trials"], search["tags"]["resumed.trials"]) == ("10", "20")


def test_another_search_of_the_same_name_has_its_own_runs(tmp_path):
    store, folders = FakeStore(), [made_folder(tmp_path / name, trials=1) for name in ("a", "b")]
    environment = folders[1].environment()
    folders[1].write_environment(replace(environment, starts=[replace(environment.starts[0], time="later")]))
    for folder in folders:
        new_delivery(folder, store).sync("finished")
    assert len(store.runs) == 4


def test_run_ids_belong_to_an_address(tmp_path):
    folder = made_folder(tmp_path, trials=1)
    new_delivery(folder, FakeStore()).sync("finished")
    assert RunIds(folder, "here").ids == {"search": "id0", "0000": "id1"}
    assert RunIds(folder, "there").ids == {}


def test_a_trial_that_ended_before_its_first_epoch(tmp_path):
    folder, store = made_folder(tmp_path, trials=0), FakeStore()
    made_trial(folder, "0000", epochs=0)
    end_trial(folder, "0000", "failed", "out of memory")
    new_delivery(folder, store).sync("finished")
    run = store.named()["0000"]
    assert (run["state"], run["tags"]["status"], run["tags"]["reason"]) == ("FAILED", "failed", "out of memory")


@pytest.mark.parametrize("show_test", [False, True])
def test_a_trial_that_is_settled_costs_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show_test: bool
) -> None:
    """The reads of a round do not grow with the trials that have ended, so those of a search grow with their number."""
    folder, read = made_folder(tmp_path, trials=0, show_test=show_test), Counter[str]()
    monkeypatch.setattr(Path, "open", counting(Path.open, read))
    monkeypatch.setattr(Path, "exists", counting(Path.exists, read))
    monkeypatch.setattr(TrialRecord, "from_json", counting(TrialRecord.from_json, read))
    delivery, reads = new_delivery(folder, FakeStore()), []
    for number in range(30):
        made_trial(folder, f"{number:04}", epochs=1)
        end_trial(folder, f"{number:04}")
        read.clear()
        delivery.sync(None)
        reads.append(read.total())
    assert reads[1] == reads[-1]
    read.clear()
    delivery.sync(None)
    assert read.total() < 5  # nothing is new


def counting(function: Callable[..., Any], counts: Counter[str]) -> Callable[..., Any]:
    def counted(*args: Any, **options: Any) -> Any:
        counts[function.__name__] += 1
        return function(*args, **options)

    return counted
