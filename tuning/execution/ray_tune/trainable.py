"""Trials in Ray's workers."""

from collections.abc import Callable
from typing import Any

from ray.train._internal.session import get_session
from ray.tune.trainable.function_trainable import FunctionTrainable, wrap_function


def saved_before_the_next(function: Callable[[dict[str, Any]], None]) -> type[FunctionTrainable]:
    """Make the function Ray's trainable, so that its worker neither begins the next trial nor ends before it returns.

    A trial that Ray stops saves itself while it ends. Ray waits 2 s for that; then the search hangs, as the worker was
    promised to the next trial (TUNE_FUNCTION_THREAD_TIMEOUT_S, which would not reach the workers of a cluster).
    """

    class SavedTrial(wrap_function(function)):  # type: ignore[misc]
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            _let_it_return()
            return super().reset_config(new_config)

        def cleanup(self) -> None:
            _let_it_return()
            super().cleanup()

    return SavedTrial


def _let_it_return() -> None:
    """Stop the function at its next report, and wait for its end."""
    session = get_session()
    if session:
        session.finish()
