"""What trials get of made nodes, and what no node could ever give."""

from collections.abc import Sequence
from typing import Any

import pytest

from recmodels.errors import UserError
from tuning.execution.ray_tune.placement import Node, TrialResources, placement, trials_that_fit
from tuning.spec import Resources

LAPTOP, WORKSTATION = Node(8, 0), Node(16, 2)


def placed(nodes: Sequence[Node], trials: int = 40, grows: bool = False, **wanted: Any) -> tuple[int, float, int]:
    """Cores and GPUs of a trial, and trials at a time."""
    made = placement(nodes, Resources(**wanted), trials, grows)
    assert made.grows == grows
    return made.cpus, made.gpus, made.concurrent


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([LAPTOP], {}, (1, 0, 8)),
        ([Node(2, 0)], {}, (1, 0, 2)),
        ([Node(64, 0)], {}, (8, 0, 8)),
        ([Node(20, 0)], {}, (2, 0, 8)),
        ([LAPTOP], {"trials": 2}, (4, 0, 2)),
        ([LAPTOP], {"max_concurrent": 3}, (2, 0, 3)),
        ([LAPTOP], {"cpus_per_trial": 3}, (3, 0, 2)),
        ([LAPTOP], {"cpus_per_trial": 3, "max_concurrent": 1}, (3, 0, 1)),
        ([WORKSTATION], {}, (8, 1, 2)),
        ([WORKSTATION], {"gpus_per_trial": 0}, (2, 0, 8)),
        ([WORKSTATION], {"gpus_per_trial": 2}, (16, 2, 1)),
        ([WORKSTATION], {"gpus_per_trial": "auto"}, (8, 1, 2)),  # until a probe knows better
        ([LAPTOP], {"gpus_per_trial": "auto"}, (1, 0, 8)),
        ([WORKSTATION], {"gpus_per_trial": 0.25}, (2, 0.25, 8)),
        ([WORKSTATION], {"max_concurrent": 1}, (16, 1, 1)),
        ([WORKSTATION], {"trials": 1}, (8, 1, 2)),
        ([Node(4, 2)], {"gpus_per_trial": 0.1}, (1, 0.1, 4)),  # no more trials than cores
    ],
)
def test_one_machine_is_shared_evenly(
    nodes: list[Node], wanted: dict[str, Any], expected: tuple[int, float, int]
) -> None:
    assert placed(nodes, **wanted) == expected


def test_a_share_of_a_gpu_is_on_one_gpu() -> None:
    """0.4 fits twice on each of two GPUs, though 2 / 0.4 is 5."""
    assert placed([WORKSTATION], gpus_per_trial=0.4) == (4, 0.4, 4)
    assert placed([WORKSTATION], gpus_per_trial=0.1) == (1, 0.1, 16)
    assert placed([Node(90, 3)], gpus_per_trial=1 / 3)[2] == 9


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([Node(4, 0), Node(16, 1)], {}, (16, 1, 1)),  # not all 20 cores, which no node has
        ([Node(64, 4), Node(8, 4)], {}, (2, 1, 8)),
        ([Node(5, 0), Node(1, 0), Node(1, 0), Node(1, 0)], {"max_concurrent": 2}, (2, 0, 2)),
        ([Node(3, 3), Node(3, 0)], {"gpus_per_trial": 2}, (3, 2, 1)),  # 3 GPUs leave room for one pair
        ([Node(0, 0), Node(8, 0)], {}, (1, 0, 8)),  # heads are often started with --num-cpus=0
    ],
)
def test_a_trial_gets_what_one_node_has(
    nodes: list[Node], wanted: dict[str, Any], expected: tuple[int, float, int]
) -> None:
    assert placed(nodes, **wanted) == expected
    cpus, gpus, concurrent = expected
    assert trials_that_fit(nodes, cpus, gpus) >= concurrent


@pytest.mark.parametrize(
    ("nodes", "wanted", "message"),
    [
        (
            [Node(2, 0)],
            {"gpus_per_trial": 1},
            "--gpus-per-trial 1: no trial can run, it needs 1 CPU and 1 GPU, but this machine has 2 CPUs and 0 GPUs",
        ),
        ([Node(2, 0)], {"gpus_per_trial": 0.5}, "--gpus-per-trial 0.5: no trial can run, it needs 1 CPU and 0.5 GPUs"),
        ([Node(2, 1)], {"gpus_per_trial": 2}, "--gpus-per-trial 2: no trial can run, it needs 1 CPU and 2 GPUs"),
        (
            [Node(2, 0)],
            {"cpus_per_trial": 3},
            "--cpus-per-trial 3: no trial can run, it needs 3 CPUs, but this machine has 2 CPUs and 0 GPUs",
        ),
        ([Node(2, 0)], {"cpus_per_trial": 10**30}, "--cpus-per-trial 1000000000"),
        (
            [Node(16, 0), Node(4, 1), Node(2, 0)],
            {"cpus_per_trial": 8},
            "--cpus-per-trial 8, --gpus-per-trial 1: no trial can run, it needs 8 CPUs and 1 GPU, "
            "but the largest of 3 nodes have 4 CPUs and 1 GPU or 16 CPUs and 0 GPUs",
        ),
        ([Node(4, 1), Node(4, 1)], {"gpus_per_trial": 2}, "--gpus-per-trial 2: no trial can run"),
        ([], {}, "--cpus-per-trial 1: no trial can run, it needs 1 CPU, but no node is there"),
    ],
)
def test_what_no_node_can_give_is_one_line(nodes: list[Node], wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        placed(nodes, **wanted)
    assert str(error.value).startswith(message)


H100 = {"accelerator_type:H100": 0.5}


def test_resources_go_by_name_as_well() -> None:
    """As many trials as each node has of everything; what none has is refused, or waited for."""
    nodes = [Node(8, 2, {"accelerator_type:H100": 1.0}), Node(64, 8), Node(1, 1, {"accelerator_type:H100": 4.0})]
    assert placed(nodes, named=H100, gpus_per_trial=0.25) == (1, 0.25, 3)
    assert placed(nodes, named=H100, gpus_per_trial=1, cpus_per_trial=4) == (4, 1, 2)
    assert placement(nodes, Resources(named=H100), 40).named == H100
    message = "--resources accelerator_type:H100: no trial can run, it needs 1 CPU and 0.5 accelerator_type:H100, but"
    with pytest.raises(UserError, match=f"^{message}"):
        placed([LAPTOP], named=H100)
    needed = placement([LAPTOP], Resources(named=H100, max_concurrent=4), 40, grows=True)
    assert (needed.concurrent, needed.named) == (4, H100)


def test_a_cluster_that_grows_is_waited_for() -> None:
    nodes = [Node(64, 0)]
    assert placed(nodes, grows=True, gpus_per_trial=1) == (1, 1, 1)  # a GPU's node may have few cores
    assert placed(nodes, grows=True, gpus_per_trial=1, max_concurrent=4, cpus_per_trial=2) == (2, 1, 4)
    assert placed([], grows=True) == (1, 0, 1)


def test_no_more_trials_at_a_time_than_fit_unless_nodes_may_join() -> None:
    assert placed([LAPTOP], max_concurrent=20) == (1, 0, 8)
    assert placed([LAPTOP], max_concurrent=20, grows=True) == (1, 0, 20)


def test_a_trial_is_on_the_device_that_it_gets() -> None:
    assert TrialResources(1, 0.25, 1).device == "cuda"
    assert TrialResources(1, 0, 1).device == "cpu"
