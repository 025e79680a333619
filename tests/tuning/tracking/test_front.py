"""Several objectives in a store of records: on the runs of the trials, and the front on that of the search."""

import json
from pathlib import Path

from tests.tuning.factories import made_confirmation, made_folder
from tests.tuning.tracking.test_delivery import FakeStore, new_delivery
from tuning.records import SearchFolder, Spread
from tuning.records.confirmation import FrontPoint
from tuning.tracking.store import SEARCH

NAMES = ["recall@20", "robustness"]


def made_front(tmp_path: Path) -> SearchFolder:
    """Three trials, of which the last two are a front."""
    folder = made_folder(tmp_path, objectives=NAMES, scheduler={"name": "none"})
    ledger = folder.path / "ledger.jsonl"
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    values = {"0000": 0.1, "0001": 0.5, "0002": 0.25}
    rows = [line | {"measured": {"robustness": values[line["trial"]]}} for line in lines]
    ledger.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_trials_have_their_objectives_and_the_search_has_its_front(tmp_path: Path) -> None:
    store, folder = FakeStore(), made_front(tmp_path)
    new_delivery(folder, store).sync("finished")
    runs = {run["tags"].get("mirrortune.trial", SEARCH): run for run in store.runs.values()}
    points = {name: {point.name: point.value for point in run["points"]} for name, run in runs.items()}
    assert [points[name]["objective/robustness"] for name in ("0000", "0001", "0002")] == [0.1, 0.5, 0.25]
    search, tags = points[SEARCH], runs[SEARCH]["tags"]
    assert (tags["front"], tags["pick"], tags["winner"]) == ("0002, 0001", "knee", "0002")
    assert tags["objectives"] == "maximize recall@20, maximize robustness"
    assert (search["front/points"], search["front/best/robustness"]) == (2.0, 0.5)
    assert search["best/objective/robustness"] == 0.25


def test_what_was_confirmed_of_a_front_stands_on_the_search(tmp_path: Path) -> None:
    store, folder = FakeStore(), made_front(tmp_path)
    spread = Spread(values=(0.2, 0.4), mean=0.3, deviation=0.1, low=0.1, high=0.5)
    points = (
        FrontPoint(trial="0001", values=dict.fromkeys(NAMES, spread), stays=True),
        FrontPoint(trial="0002", values=dict.fromkeys(NAMES, spread), stays=False),
    )
    folder.confirmation.write_text(made_confirmation("0001").model_copy(update={"front": points}).to_yaml())
    new_delivery(folder, store).sync("finished")
    (search,) = (run for run in store.runs.values() if "mirrortune.trial" not in run["tags"])
    assert (search["tags"]["winner"], search["tags"]["confirmed.front"]) == ("0001", "0001")
    assert {p.value for p in search["points"] if p.name == "confirmed/objective/robustness/mean"} == {0.3}


def test_a_search_by_its_metric_has_none_of_that(tmp_path: Path) -> None:
    store = FakeStore()
    new_delivery(made_folder(tmp_path), store).sync("finished")
    names = {point.name for run in store.runs.values() for point in run["points"]}
    assert not [name for name in names if "objective" in name or "front" in name]
    assert not [tag for run in store.runs.values() for tag in run["tags"] if tag in ("front", "pick", "objectives")]
