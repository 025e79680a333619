"""A search by two objectives with real Ray workers: killed, resumed, its front exported, picked from and replayed."""

import os
import signal
from pathlib import Path

import pytest

from recmodels.analysis import robust_score
from recmodels.data import load_dataset
from recmodels.metric import Metric
from tests.tuning.cli.helpers import BARE
from tests.tuning.test_end_to_end import finish, runs, started, wait_for
from tuning.export import Export
from tuning.export.replay import model_of, replay
from tuning.records.folder import SearchFolder
from tuning.records.front import front_of

OPTIONS = ("--objectives", "recall@20,robustness", "--trials", "5", "--max-epochs", "4", "--sampler", "random")
MODEL = ("--model", "LightGCN", "--dataset", "demo", "--set", "embedding_size=8", "--name", "s", *BARE)


@pytest.mark.long
def test_a_search_by_two_objectives_ends_in_a_front_whose_exports_replay(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "searches" / "s")
    first = started(tmp_path, *MODEL, *OPTIONS)
    wait_for(lambda: len(folder.ledger()) >= 2, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    output = finish(started(tmp_path, "--resume", "s"))

    records = folder.ledger()
    assert sorted(records) == [f"{number:04d}" for number in range(5)]
    assert all(record.measured.keys() == {"robustness"} for record in records.values())
    points = [each.trial for each in front_of(folder.spec().objectives, records.values()).points]
    assert f"front: {len(points)} of 5 trials" in output
    assert "measuring robustness took" in output
    assert runs(tmp_path)["s"].data.tags["front"] == ", ".join(points)
    files = sorted((tmp_path / "best_configs").glob("s-front-*.yaml"))
    assert [path.stem for path in files] == [f"s-front-{name}" for name in sorted(points)]

    data = load_dataset("demo", None, tmp_path / "cache")
    for path in files:
        export = Export.read(path)
        again = replay(export, data)
        assert again.scores["valid"] == export.metrics.valid
        model = model_of(export, data, again.weights)
        assert robust_score(model, data, Metric("recall@20"), export.seed) == export.objectives["robustness"]

    # Another point is picked afterwards: its export is the best one, and nothing is trained.
    finish(started(tmp_path, "--resume", "s", "--pick", points[-1]))
    best = Export.read(tmp_path / "best_configs" / "LightGCN-demo-mg-robustness.yaml")
    assert best == Export.read(folder.best)
    assert best.metrics.valid == records[points[-1]].valid
    assert replay(best, data).scores == best.metrics.model_dump()
    assert runs(tmp_path)["s"].data.tags["winner"] == points[-1]
