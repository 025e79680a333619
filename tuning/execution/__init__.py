"""How trials run: `trial`, one of them in one process; `ray_tune`, those of a search; `observer`, who hears of them."""

from tuning.execution.observer import Observer

__all__ = ["Observer"]
