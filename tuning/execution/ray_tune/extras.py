"""What Ray starts and loads beside what trials need. It has no settings for that, so its functions are replaced."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ray._private import worker
from ray._private.node import Node
from ray.air._internal import usage

SERVERS = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Node: of the dashboard (started even without one), the autoscaler, and what prints workers' output."""


def no_servers() -> AbstractContextManager[None]:
    """Let a Ray that starts in the block start what runs trials alone: no process of SERVERS.

    Each of them is a Python program that needs 0.4 s of CPU to start; Ray waits for the first one when it starts, and
    for all of them when it ends, a second each time.
    """
    return _doing_nothing(Node, *SERVERS)


def no_count_of_callbacks() -> AbstractContextManager[None]:
    """Let Tune not count the kinds of callbacks for Ray's statistics, which are not sent: it imports MLflow for that.

    That is half a second, also where a search is recorded elsewhere or nowhere.
    """
    return _doing_nothing(usage, "tag_callbacks")


def no_messages() -> AbstractContextManager[None]:
    """Let Ray print no messages of a cluster's nodes in the block: a node that dies leaves 25 lines of its log.

    What it means for trials is said by the search, in one line.
    """
    return _doing_nothing(worker, "print_to_stdstream")


@contextmanager
def _doing_nothing(owner: Any, *names: str) -> Iterator[None]:
    """Replace the functions of these names in the block, but for those that another version of Ray does not have."""
    kept = {name: getattr(owner, name) for name in names if hasattr(owner, name)}
    for name in kept:
        setattr(owner, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(owner, name, function)
