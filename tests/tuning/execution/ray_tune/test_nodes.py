"""What a node must have in common with the driver's machine; no cluster, the nodes are made."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import ray

from recmodels.errors import UserError
from tuning.execution.place_fault import PlaceFault
from tuning.execution.ray_tune import nodes
from tuning.execution.ray_tune.nodes import JOB, Versions, check_nodes, check_this_node, runtime_env
from tuning.execution.storage import Storage

HERE = Versions.here()


def test_versions_are_without_the_kind_of_a_build() -> None:
    """A head may have torch for the CPU where its workers have it for CUDA."""
    assert HERE.packages == {"ray": version("ray"), "torch": version("torch").partition("+")[0]}
    HERE.check()


def test_other_versions_are_one_line_with_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "this_node", lambda: "node 10.0.0.7 (worker-3)")
    driver = replace(HERE, python="3.10.1", packages={**HERE.packages, "torch": "2.0.0"})
    with pytest.raises(PlaceFault) as error:
        driver.check()
    found = f"Python {HERE.python}, expected 3.10.1, torch {HERE.packages['torch']}, expected 2.0.0"
    assert str(error.value) == f"node 10.0.0.7 (worker-3): {found} as on the driver's machine"


def test_other_code_at_the_drivers_path_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray puts the driver's paths before the code that the driver has sent."""
    monkeypatch.setattr(nodes, "this_node", lambda: "node 10.0.0.7 (worker-3)")
    with pytest.raises(PlaceFault) as error:
        replace(HERE, project="another").check()
    place = Path(nodes.__file__).parents[3]
    found = f"other code of this project in {place}, expected the driver's, or none"
    assert str(error.value) == f"node 10.0.0.7 (worker-3): {found}"


def test_workers_get_this_project_unless_their_job_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOB, raising=False)
    folders = [Path(each) for each in runtime_env()["py_modules"]]
    assert [each.name for each in folders] == ["recmodels", "search_spaces", "tuning"]
    assert all((each / "__init__.py").exists() or each.name == "search_spaces" for each in folders)
    for given, expected in (({}, True), ({"working_dir": "gcs://x.zip"}, True), ({"py_modules": ["x"]}, False)):
        monkeypatch.setenv(JOB, json.dumps({"runtime_env": given}))
        assert bool(runtime_env()) == expected


def test_a_storage_that_a_node_does_not_share_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "this_node", lambda: "node 10.0.0.7 (worker-3)")
    storage = Storage.of(str(tmp_path / "checkpoints"))
    probe = storage.check()
    check_this_node(HERE, storage, probe)
    Path(probe).unlink()
    with pytest.raises(PlaceFault, match=r"^node 10\.0\.0\.7 \(worker-3\): --storage .*/checkpoints/probe-\w+: "):
        check_this_node(HERE, storage, probe)
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Exception | None]:
    """The answers of the nodes 10.0.0.0, 10.0.0.1, ... to the question whether trials can run there."""
    given: list[Exception | None] = []

    def get(answer: Exception | None, timeout: float) -> None:
        if answer:
            raise answer

    class Asked:
        def __init__(self, question: Any):
            assert question == check_this_node

        def options(self, **options: Any) -> "Asked":
            self.node = int(options["scheduling_strategy"].node_id, 16)
            return self

        def remote(self, *arguments: Any) -> Exception | None:
            return given[self.node]

    def alive() -> list[dict[str, Any]]:
        parts = [("NodeManagerAddress", "10.0.0.{}"), ("NodeManagerHostname", "host-{}"), ("NodeID", "{:056x}")]
        return [{"Alive": True, **{key: form.format(node) for key, form in parts}} for node in range(len(given))]

    monkeypatch.setattr(ray, "nodes", alive)
    monkeypatch.setattr(ray, "remote", Asked)
    monkeypatch.setattr(ray, "get", get)
    return given


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            ray.exceptions.RayTaskError("check", "a\ntrace", PlaceFault("node 10.0.0.1 (host-1): torch 1.0")),
            "node 10.0.0.1 (host-1): torch 1.0",
        ),
        (
            ray.exceptions.RayTaskError("check", "a\nModuleNotFoundError: No module named 'numpy'", ValueError("x")),
            "node 10.0.0.1 (host-1): ModuleNotFoundError: No module named 'numpy'",
        ),
        (ray.exceptions.GetTimeoutError("x"), "node 10.0.0.1 (host-1): it has started no worker within 300 s"),
        (
            ray.exceptions.RuntimeEnvSetupError("no\nspace"),
            "node 10.0.0.1 (host-1): it cannot make the runtime environment: Failed to set up runtime environment. no",
        ),
    ],
)
def test_the_first_node_that_is_not_fit_is_one_line(
    answers: list[Exception | None], answer: Exception, line: str, tmp_path: Path
) -> None:
    answers.extend([None, answer, None])
    with pytest.raises(UserError) as error:
        check_nodes(HERE, Storage.of(str(tmp_path / "checkpoints")))
    assert str(error.value).startswith(line)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_node_that_has_gone_meanwhile_is_no_fault(answers: list[Exception | None]) -> None:
    answers.extend([ray.exceptions.NodeDiedError("gone"), None])
    check_nodes(HERE, None)
