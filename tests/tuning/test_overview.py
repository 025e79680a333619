"""An overview with real Ray workers, killed and resumed."""

import csv
import json
import os
import signal
from pathlib import Path

from tests.tuning.cli.helpers import BARE
from tests.tuning.test_end_to_end import finish, started, wait_for
from tuning.records.folder import SearchFolder

PAIRS = ["o-LightGCN-demo", "o-BPR-demo", "o-LightGCN-demo-noise-0.5", "o-BPR-demo-noise-0.5"]


def test_a_killed_overview_goes_on_where_it_was(tmp_path: Path) -> None:
    searches = tmp_path / "searches"
    options = ("--trials", "2", "--max-epochs", "2", "--scheduler", "none", "--max-concurrent", "1", *BARE)
    where = ("--model", "LightGCN,BPR", "--dataset", "demo,demo@noise=0.5", "--name", "o", "--tracking-uri", "none")
    process = started(tmp_path, *where, "--set", "embedding_size=8", *options)
    third = SearchFolder(searches / f"{PAIRS[2]}-mg")
    wait_for(lambda: (third.path / "ledger.jsonl").exists(), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {path: path.read_bytes() for path in searches.glob("o-*-mg/ledger.jsonl")}
    assert len(before) == 3

    output = finish(started(tmp_path, "--resume", "o"))
    assert "overview o: 4 pairs, 2 to run" in output
    rows = [json.loads(line) for line in (searches / "o" / "pairs.jsonl").read_text().splitlines()]
    assert rows == [{"pair": name, "fault": None} for name in PAIRS]
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    for name in PAIRS:
        folder = SearchFolder(searches / f"{name}-mg")
        assert sorted(folder.ledger()) == ["0000", "0001"]
        assert len((folder.path / "ledger.jsonl").read_text().splitlines()) == 2
        for record in folder.ledger().values():
            assert [row.epoch for row in folder.trial(record.trial).epochs()] == [1, 2]
    found = list(csv.DictReader((searches / "o" / "overview.csv").open()))
    assert {(row["model"], row["dataset"]) for row in found} == {
        (model, dataset) for model in ("LightGCN", "BPR") for dataset in ("demo", "demo@noise=0.5")
    }
    assert all(0 < float(row["mean"]) < 1 for row in found)
    assert "no plain training beside it, so there is no gain." in output
    assert sorted(path.name for path in (tmp_path / "best_configs").glob("*.yaml")) == [
        f"{model}-{dataset}-mg.yaml" for model in ("BPR", "LightGCN") for dataset in ("demo", "demo-noise-0.5")
    ]
