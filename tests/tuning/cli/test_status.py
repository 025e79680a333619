"""`status` reads a search, an experiment and everything in a folder: while it runs, and wherever it was copied to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import run_search
from tests.tuning.cli.helpers import refused
from tests.tuning.experiments.factories import made_experiment
from tests.tuning.factories import end_trial, made_folder, made_row, made_trial
from tuning.records.folder import SearchFolder
from tuning.records.holder import is_held, pid_of
from tuning.reports.status import State

pytestmark = pytest.mark.usefixtures("here")
SPACE = {"strategy": {"alpha": {"type": "uniform", "low": 0.5, "high": 2.0}, "beta": 0.1, "interval": 3}}


def status(capsys: Any, *arguments: str) -> Any:
    assert run_search.main(["status", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def lines(capsys: Any, *arguments: str) -> list[str]:
    assert run_search.main(["status", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_search_that_was_interrupted(capsys: Any, here: Path) -> None:
    folder = made_folder(here, trials=2, epochs=4, space=SPACE, budget={"trials": 9, "epochs": 100})
    made_trial(folder, "0002", epochs=2)
    end_trial(folder, "0002", "pruned")
    made_trial(folder, "0003", epochs=3)
    made_trial(folder, "0004", epochs=1)
    folder.trial("0004").write_out_of_memory("of the GPU")
    found = status(capsys, "made")
    assert found["state"] == "interrupted"
    assert found["counts"] == {"finished": 2, "pruned": 1, "out of memory": 1, "open": 1}
    assert (found["planned"], found["best_trial"], found["metric"]) == (9, "0001", "recall@20")
    assert found["best"] == pytest.approx(0.02402)
    assert found["budget"] == {"trials": [3, 9], "epochs": [14, 100]}
    assert found["seconds"] == pytest.approx(14.0)
    assert found["began"] == "2023-11-14T22:13:20+00:00"
    assert found["next"] == "python run_search.py --resume made"
    assert "left" not in found
    text = lines(capsys, "made")
    assert text[0] == "search made: BPR, mg on demo, interrupted"
    assert text[1].split("  ") != text[3].split("  ")
    assert "budget: 3 of 9 trials, 14 of 100 epochs" in text
    assert text[-1] == "next: python run_search.py --resume made"


@pytest.mark.parametrize(
    ("budget", "state"),
    [({"trials": 2}, "ended"), ({"trials": 3}, "interrupted"), ({"trials": 9, "epochs": 8}, "ended"),
     ({"trials": 9, "passes": 24}, "ended"), ({"trials": 9, "passes": 25}, "interrupted")],
)  # fmt: skip
def test_a_search_has_ended_when_its_budget_has(capsys: Any, here: Path, budget: Any, state: State) -> None:
    folder = made_folder(here, trials=2, epochs=4, space=SPACE, budget=budget)
    folder.best.write_text("best")
    found = status(capsys, "made")
    assert found["state"] == state
    expected = "--replay searches/made/best.yaml" if state == "ended" else "--resume made"
    assert found["next"] == f"python run_search.py {expected}"


def test_no_test_metric_is_shown(capsys: Any, here: Path) -> None:
    made_folder(here, trials=2, show_test=True)
    run_search.main(["status", "made", "--json"])
    assert "test" not in capsys.readouterr().out


def test_a_search_that_runs(capsys: Any, here: Path) -> None:
    folder = made_folder(here, trials=4, space=SPACE, budget={"trials": 9})
    made_trial(folder, "0004", epochs=1)
    with folder.locked():
        assert is_held(folder.path / ".lock")
        assert pid_of(folder.path / ".lock") == os.getpid()
        found = status(capsys, "made")
        assert (found["state"], found["process"], found["host"]) == ("running", os.getpid(), "here")
        assert found["left"] == {"low": 19.0, "high": 19.0}  # five trials of 4 s, one of which has run for 1 s
        assert "next" not in found
        text = lines(capsys, "made")
        assert text[0] == f"search made: BPR, mg on demo, running in process {os.getpid()} on here"
        assert "time left: about 20 s" in text
    assert not is_held(folder.path / ".lock")
    assert status(capsys, "made")["state"] == "interrupted"


def test_looking_keeps_nobody_from_running(here: Path) -> None:
    """A process looks again and again while another one takes the lock."""
    folder = made_folder(here)
    lock = folder.path / ".lock"
    lock.touch()
    script = """
import sys; from pathlib import Path; from tuning.records.folder import SearchFolder
from tuning.records.holder import is_held
while True: is_held(Path(sys.argv[1]))
"""
    looking = subprocess.Popen([sys.executable, "-c", script, lock], cwd=Path(run_search.__file__).parent)
    try:
        for _ in range(50):
            with folder.locked():
                pass
    finally:
        looking.kill()
        looking.wait()


def test_an_experiment_has_its_stages(capsys: Any, here: Path) -> None:
    made_experiment(compare="mg", trials="9").write()
    found = status(capsys, "c")
    names = ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds"]
    assert [member["name"] for member in found["members"]] == names
    assert {member["state"] for member in found["members"]} == {"waiting"}
    assert (found["state"], found["planned"]) == ("interrupted", 1 + 2 + 9 + 2)
    assert found["next"] == "python run_search.py --resume c"
    for name, count, planned in (("c-plain", 1, 1), ("c-plain-seeds", 2, 2), ("c-mg", 3, 9)):
        role = "confirmation" if "seeds" in name else "search"
        made_folder(here, trials=count, name=name, space=SPACE, budget={"trials": planned}, role=role)
    done = here / "searches" / "c" / "done.jsonl"
    done.write_text('{"search": "c-plain"}\n{"search": "c-plain-seeds"}\n')
    folder = SearchFolder(here / "searches" / "c-mg")
    made_trial(folder, "0003", epochs=2)
    with SearchFolder(here / "searches" / "c").locked(), folder.locked():
        found = status(capsys, "c")
    assert [member["state"] for member in found["members"]] == ["ended", "ended", "running", "waiting"]
    assert (found["state"], found["planned"], found["members"][1].get("best")) == ("running", 1 + 2 + 9 + 2, None)
    assert found["left"] == pytest.approx({"low": 22 + 0.6 * 8, "high": 22 + 1.6 * 8})  # 6 trials of 4 s less 2; then 2
    assert status(capsys, "c")["next"] == "python run_search.py --resume c"
    (here / "searches" / "c" / "result.json").write_text("{}")
    done.write_text(done.read_text() + '{"search": "c-mg"}\n')
    assert status(capsys, "c")["state"] == "ended"


def test_a_copy_from_another_machine_is_read_where_it_is(capsys: Any, here: Path) -> None:
    folder = made_folder(here, trials=2, space=SPACE, budget={"trials": 3})
    shutil.copytree(folder.path, here / "copies" / "mine")
    shutil.rmtree(here / "searches")
    before = sorted(here.rglob("*"))
    found = status(capsys, "mine", "--output-dir", "copies")
    assert (found["name"], found["state"]) == ("mine", "interrupted")
    assert found["next"] == "python run_search.py --resume mine --output-dir copies"
    assert sorted(here.rglob("*")) == before


def test_without_a_name_everything_is_listed(capsys: Any, here: Path) -> None:
    made_folder(here, trials=2, name="one")
    torn = made_folder(here, trials=1, name="torn")
    (torn.path / "spec.yaml").write_text("name: [")
    (here / "searches" / "no-search").mkdir()
    text = lines(capsys)
    assert [line.split()[:2] for line in text[2:4]] == [["one", "ended"], ["torn", "unreadable"]]
    assert text[4].startswith("torn: searches/torn/spec.yaml:1: not valid YAML")
    assert [each["name"] for each in status(capsys)] == ["one", "torn"]
    shutil.rmtree(here / "searches")
    (here / "searches").mkdir()
    assert lines(capsys) == ["no searches in searches"]


def test_the_searches_of_a_group_are_folded_into_it(capsys: Any, here: Path) -> None:
    made_experiment(compare="mg", name="all-LightGCN-demo").write()
    for name in ("all-LightGCN-demo-plain", "all-BPR-demo", "other"):
        made_folder(here, trials=1, name=name)
    assert [each["name"] for each in status(capsys)] == ["all-BPR-demo", "all-LightGCN-demo", "other"]
    (here / "searches" / "all").mkdir()
    (here / "searches" / "all" / "overview.yaml").write_text("name: all\n")
    assert [each["name"] for each in status(capsys)] == ["all", "other"]
    found = status(capsys, "all")
    members = [member["name"] for member in found["members"]]
    assert (found["kind"], members) == ("overview", ["all-BPR-demo", "all-LightGCN-demo"])
    text = lines(capsys, "all")
    assert [line.split()[0] for line in text[3:6]] == ["all-BPR-demo", "all-LightGCN-demo", "all-LightGCN-demo-plain"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("maed",), "status maed: no such search in searches; did you mean 'made'?"),
        (("made", "--output-dir", "else"), "--output-dir else: no such folder"),
        (("torn",), "searches/torn/spec.yaml:1: not valid YAML"),
        (("bad",), "searches/bad/experiment.yaml: not an experiment (KeyError"),
        (("made", "--jsn"), "--jsn: no such option; did you mean '--json'?"),
    ],
)
def test_bad_input_is_one_line(capsys: Any, here: Path, arguments: tuple[str, ...], message: str) -> None:
    made_folder(here)
    for name, file, content in (("torn", "spec.yaml", "name: ["), ("bad", "experiment.yaml", "name: bad")):
        (here / "searches" / name).mkdir()
        (here / "searches" / name / file).write_text(content)
    assert refused(capsys, "status", *arguments).startswith(message)


def test_it_loads_nothing_heavy(here: Path) -> None:
    made_folder(here)
    script = """
import sys, run_search
assert run_search.main(["status", "made", "--output-dir", sys.argv[1]]) == 0
assert not {"torch", "ray", "mlflow", "optuna"} & set(sys.modules)
"""
    root = Path(run_search.__file__).parent
    subprocess.run([sys.executable, "-c", script, here / "searches"], cwd=root, check=True, capture_output=True)


def test_a_row_without_an_epoch_is_read(capsys: Any, here: Path) -> None:
    folder = made_folder(here, trials=0, space=SPACE, budget={"trials": 3})
    made_trial(folder, "0000", epochs=0)
    assert status(capsys, "made")["counts"]["open"] == 1
    folder.trial("0000").append_epoch(made_row("0000", 1))
    assert status(capsys, "made")["seconds"] == 1.0
