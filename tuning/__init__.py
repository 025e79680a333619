"""A search for the robust-training hyper-parameters of a recommender, from Python; see docs/python.md."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuning.execution.observer import Observer
    from tuning.records import SearchFolder
    from tuning.records.sealed import open_test
    from tuning.search import Outcome, Search
    from tuning.space.catalogue import search_space
    from tuning.spec import SearchSpec

__all__ = ["Observer", "Outcome", "Search", "SearchFolder", "SearchSpec", "open_test", "search_space"]

_MODULES = {
    "Observer": "tuning.execution.observer",
    "Outcome": "tuning.search",
    "Search": "tuning.search",
    "SearchFolder": "tuning.records.folder",
    "SearchSpec": "tuning.spec",
    "open_test": "tuning.records.sealed",
    "search_space": "tuning.space.catalogue",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is asked for: a command line that only shows --help loads no torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
