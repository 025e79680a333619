"""How long a search still takes, judged by what its trials took: a range, and nothing before there is evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

LEAST = 3
"""Trials that must have ended before the time of others is judged by theirs."""
CERTAIN = 1.3  # standard deviations: 80 % of a normal distribution
NARROW = 1.5
"""A range whose ends differ by less than this factor is shown as one value."""


@dataclass(frozen=True)
class TimeLeft:
    """A range of seconds; `low` 0: `high` is a limit."""

    low: float
    high: float

    def __str__(self) -> str:
        if not self.low:
            return f"at most {span(self.high)}"
        if self.high < NARROW * self.low or span(self.low) == span(self.high):
            return f"about {span((self.low + self.high) / 2)}"
        return f"{span(self.low)} to {span(self.high)}"

    def __add__(self, other: "TimeLeft") -> "TimeLeft":
        return TimeLeft(self.low + other.low, self.high + other.high)


def by_trials(ended: Sequence[float], left: int, begun: Sequence[float], at_once: int) -> TimeLeft | None:
    """Return the time for the trials that have not ended; None with fewer than LEAST that have.

    `ended`: seconds of each trial that has ended. `left`: trials that have not, those that run among them. `begun`:
    seconds that each of these has run. `at_once`: trials that run at a time.

    The sum of `left` draws from what the trials took, by its mean and deviation; the latter counts the error of the
    mean. It is wide where the scheduler stops some trials early and others not.
    """
    if len(ended) < LEAST or not left:
        return None
    mean = fmean(ended)
    work = left * mean - sum(min(seconds, mean) for seconds in begun)
    deviation = stdev(ended) * math.sqrt(left + left**2 / len(ended))
    lanes = max(1, min(at_once, left))
    low = max(work - CERTAIN * deviation, work / 4) / lanes
    return TimeLeft(max(low, 1.0), max((work + CERTAIN * deviation) / lanes, 1.0))


def by_budget(done: float, since_start: float, total: float | None, seconds: float) -> TimeLeft | None:
    """Return the time until a budget, such as that of epochs, is used up at the speed of this start.

    `done`: used in all starts together; `since_start`: in this one, within `seconds`. None without a budget, and before
    a hundredth of it has been used in this start.
    """
    if total is None or since_start < total / 100 or not seconds:
        return None
    left = max(0.0, total - done) / since_start * seconds
    return TimeLeft(max(0.85 * left, 1.0), max(1.15 * left, 1.0))


def soonest(*ends: TimeLeft | None) -> TimeLeft | None:
    """Return the time until the first of several ends; None if none is known."""
    known = [end for end in ends if end]
    if not known:
        return None
    high = min(end.high for end in known)
    lows = [end.low for end in known if end.low]
    return TimeLeft(min([high, *lows]) if lows else 0.0, high)


def span(seconds: float) -> str:
    """Return `40 s`, `12 min`, `3 h 20 min` or `2 d 5 h`, no more exact than an estimate is."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(10 * round(minutes / 10), 60)
    if hours < 36:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
