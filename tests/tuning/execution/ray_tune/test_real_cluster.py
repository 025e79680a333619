"""Searches on clusters of several raylets that share no path with the driver's search; everything is killed once."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow.fs import FileSelector

from recmodels.data import load_dataset
from tests.tuning.execution.ray_tune.real_cluster import HELD, RealCluster, real_cluster
from tests.tuning.execution.s3 import CREDENTIALS, s3_server
from tests.tuning.tracking.mlflow_server import until
from tuning.execution.storage import STORED
from tuning.export import Export
from tuning.export.replay import replay
from tuning.records.folder import SearchFolder

SCRIPT = Path(__file__).parents[4] / "run_search.py"
EPOCHS = 12
OPTIONS = ("--model", "BPR", "--dataset", "demo", "--set", "embedding_size=8", "--name", "s", "--trials", "12")
OPTIONS += ("--max-epochs", str(EPOCHS), "--patience", str(EPOCHS), "--scheduler", "none", "--sampler", "random")
OPTIONS += ("--tune-base", "0", "--confirm-top", "0", "--tracking", "none", "--no-report")
OPTIONS += ("--cpus-per-trial", "1", "--max-concurrent", "3")


class Driver:
    """A search in a process of its own, in a folder that no node sees. It joins the cluster that RAY_ADDRESS names."""

    def __init__(self, where: Path, cluster: RealCluster, *arguments: str):
        self.output = where / "output"
        with self.output.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(SCRIPT), *arguments],
                cwd=where,
                env=cluster.environment | {"XDG_CACHE_HOME": str(where / "cache"), "RAY_ADDRESS": cluster.address},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until(lambda: condition() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output.read_text()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def finish(self) -> None:
        assert self.process.wait(timeout=900) == 0, self.output.read_text()


@pytest.mark.parametrize("head_dies", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.long
def test_a_search_outlives_its_nodes_its_driver_and_its_cluster(tmp_path: Path, head_dies: bool) -> None:
    """Twelve trials: none is lost and none is trained to its end twice. Checkpoints are kept at home, then in S3."""
    own, kills, told, ended = tmp_path / "own", list[str](), list[list[str]](), list[list[str]]()
    forbidden = own / "searches"
    own.mkdir()
    folder = SearchFolder(forbidden / "s")

    def note(what: str) -> None:
        kills.append(f"{what}: {len(folder.ledger())} of 12 trials ended, {len(folder.unfinished())} under way")

    def latest(cluster: RealCluster, node: str) -> tuple[str, int]:
        """The trial that a node has trained last, and its epoch."""
        trained = [(trial, int(epoch)) for where, trial, epoch, _ in cluster.told("trained") if where == node]
        return trained[-1] if trained else ("", 0)

    def is_held(cluster: RealCluster, node: str) -> bool:
        return latest(cluster, node)[1] == HELD

    def listen(cluster: RealCluster) -> None:
        told.extend(cluster.told("trained"))
        ended.extend(cluster.told("ended"))
        assert cluster.told("opened") == []

    with s3_server() as bucket:
        resume = ("--resume", "s", "--storage", bucket.uri("bucket/prefix"))
        with real_cluster(tmp_path / "one", forbidden, **CREDENTIALS) as cluster:
            for node in ("head", "n1", "n2"):
                cluster.start(node)
            cluster.hold("head", "n1", "n2", "n3")
            first = Driver(own, cluster, *OPTIONS)
            first.wait_for(lambda: all(is_held(cluster, node) for node in ("head", "n1", "n2")))
            lost, epoch = latest(cluster, "n1")
            cluster.kill("n1")
            note(f"node n1 killed in epoch {epoch} of trial {lost}")
            cluster.start("n3")
            first.wait_for(lambda: latest(cluster, "n3")[0] == lost and is_held(cluster, "n3"))
            cluster.let_go("head", "n2")
            first.wait_for(lambda: len(folder.ledger()) >= 3)
            first.kill()
            note("driver killed")
            cluster.let_go("n3")
            before = len(folder.ledger())
            second = Driver(own, cluster, *resume)
            if head_dies:
                second.wait_for(lambda: len(folder.ledger()) >= before + 3)
                cluster.kill("head")
                assert second.process.wait(timeout=900) != 0
                note(f"head killed, the driver ended with {second.process.returncode}")
            else:
                second.finish()
                note("resumed, with checkpoints in S3")
            listen(cluster)
        if head_dies:
            with real_cluster(tmp_path / "two", forbidden, **CREDENTIALS) as cluster:
                for node in ("head", "n4"):
                    cluster.start(node)
                Driver(own, cluster, *resume).finish()
                note("resumed on a new cluster, with checkpoints in S3")
                listen(cluster)
        stored = bucket.files.get_file_info(FileSelector("bucket/prefix", recursive=True))
    output = (own / "output").read_text()
    assert f"Ray cluster at {cluster.address} (from RAY_ADDRESS): " in output
    print("\n".join([*kills, output]))  # shown by pytest -rP

    names = [f"{number:04d}" for number in range(12)]
    lines = [json.loads(line) for line in (folder.path / "ledger.jsonl").read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == names
    assert {line["status"] for line in lines} == {"finished"}
    for each in names:
        assert [row.epoch for row in folder.trial(each).epochs()] == list(range(1, EPOCHS + 1))
    assert set(Counter(trial for _, trial in ended).values()) == {1}

    assert f"trial {lost} has lost its worker" in output
    assert "(raylet)" not in output  # a page of its log
    later = [int(epoch) for node, trial, epoch, _ in told if trial == lost and node != "n1"]
    assert later[0] == HELD  # on another node, from its last checkpoint
    assert {Path(file).parents[3].name for *_, file in told} == {"py_modules_files"}  # the project came along

    pointers = [path for path in (folder.trial(each).path / STORED for each in names) if path.exists()]
    assert len(pointers) >= 3  # of the trials that ran after the driver was killed
    places = [json.loads(path.read_text()) for path in pointers]
    assert {Path(place.partition("?")[0]).name for files in places for place in files.values()} <= {
        each.base_name for each in stored if each.is_file
    }

    export = Export.read(own / "best_configs" / "BPR-demo-mg.yaml")
    assert replay(export, load_dataset("demo", None, own / "cache")).scores == export.metrics.model_dump()
