"""What Ray does beside what trials need, and does not do here."""

import pytest
from ray._private import worker
from ray._private.node import Node
from ray.air._internal import usage
from ray.tune import Callback, tune

from tuning.execution.ray_tune.extras import SERVERS, no_count_of_callbacks, no_messages, no_servers


def test_callbacks_are_not_counted_for_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(usage, "_count_callbacks", asked.append)
    with no_count_of_callbacks():
        tune.air_usage.tag_callbacks([Callback()])
    assert asked == []
    tune.air_usage.tag_callbacks([Callback()])
    assert len(asked) == 1


def test_messages_of_nodes_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    message = {"ip": "10.0.0.7", "pid": "raylet", "lines": ["it has died"], "is_err": True, "job": None}
    worker.print_to_stdstream(message, False)
    assert "it has died" in "".join(capsys.readouterr())
    with no_messages():
        worker.print_to_stdstream(message, False)
    assert "".join(capsys.readouterr()) == ""


def test_servers_are_left_out_in_the_block_alone() -> None:
    methods = [getattr(Node, name) for name in SERVERS]
    with no_servers():
        assert [getattr(Node, name)(None) for name in SERVERS] == [None] * len(SERVERS)
    assert [getattr(Node, name) for name in SERVERS] == methods


def test_servers_come_back_after_a_start_that_fails() -> None:
    methods = [getattr(Node, name) for name in SERVERS]
    with pytest.raises(ZeroDivisionError), no_servers():
        _ = 1 / 0
    assert [getattr(Node, name) for name in SERVERS] == methods
