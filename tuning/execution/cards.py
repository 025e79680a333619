"""How many trials share a card: pure functions of what a probe has measured there. Without torch, without Ray."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 1.15
"""Memory that a trial gets over what the probe has seen: it saw few epochs, and memory is cut into pieces."""
MOST, MOST_UNSEEN = 16, 8
"""Trials on a card at most; MOST_UNSEEN where no figure says how busy one of them keeps it."""
GIB = 2**30


@dataclass(frozen=True)
class Reading:
    """What a trial at one point of the space took of a card.

    `torch`: most bytes that torch held there; None without a figure, and infinite if the trial had no room on the whole
    card. `around`: bytes of its process there beside torch, such as CUDA's context. `busy`: share of the time in which
    the card computed, 0 to 1; None without a figure.
    """

    torch: float | None
    around: int = 0
    busy: float | None = None


@dataclass(frozen=True)
class Meter:
    """A card as a probe has measured it: its name, its bytes of memory (None without a figure), and its `readings`, at
    the usual point first."""

    name: str
    memory: int | None
    readings: tuple[Reading, ...]

    @property
    def held(self) -> float | None:
        """The most bytes that a trial's process holds; None if one reading has no figure."""
        taken = [reading.torch for reading in self.readings]
        return None if None in taken else max(filter(None, taken), default=0) + self.around

    @property
    def around(self) -> int:
        """The most bytes of a process beside torch."""
        return max(reading.around for reading in self.readings)

    @property
    def busy(self) -> float | None:
        """The share of the time in which one trial at the usual point keeps the card busy."""
        return self.readings[0].busy

    @property
    def room(self) -> int:
        """The number of trials that fit into the memory, at least 1."""
        if self.memory is None or self.held is None or math.isinf(self.held):
            return 1
        return max(1, int(self.memory / (MARGIN * self.held))) if self.held else MOST

    @property
    def use(self) -> int:
        """The number of trials that keep the card busy: more of them would only wait for each other."""
        if self.busy is None:
            return MOST_UNSEEN
        return max(1, min(MOST, math.ceil(1 / max(self.busy, 1 / MOST))))

    def __str__(self) -> str:
        if self.memory is None or self.held is None:
            holds = "no figure of its memory"
        elif math.isinf(self.held):
            holds = f"the largest configuration has no room in its {self.memory / GIB:.1f} GiB"
        else:
            holds = f"a trial holds up to {self.held / GIB:.2f} of {self.memory / GIB:.1f} GiB"
        load = "no figure of its load" if self.busy is None else f"one keeps it busy for {self.busy:.0%} of the time"
        return f"{self.name}: {holds}, {load}"


@dataclass(frozen=True)
class Share:
    """The part of a card that each of `trials` trials gets. `memory`: the share of the card's memory that torch may
    take in the process of one; None: all of it."""

    trials: int
    memory: float | None

    @property
    def gpus(self) -> float:
        """The share as Ray counts it, in steps of 1e-4: so many of them fit on a card, and not one more."""
        return math.floor(1e4 / self.trials) / 1e4


def trials_per_card(meters: Sequence[Meter], most: int) -> int:
    """Return how many trials share each card; where cards differ, what the least of them can bear.

    `most`: trials on a card that there are cores and work for.
    """
    return max(1, min([most, *(limit for meter in meters for limit in (meter.room, meter.use))]))


def share(meters: Sequence[Meter], trials: int) -> Share:
    """Return the part of a card that each of so many trials gets; one alone has no cap.

    With the cap a trial that needs more than its part runs out of memory itself, and none of its neighbours does.
    """
    if trials == 1:
        return Share(1, None)
    caps = [1 / trials - meter.around / meter.memory for meter in meters if meter.memory]
    return Share(trials, round(min(caps), 4) if caps and min(caps) > 0 else None)


def fewer(trials: int) -> int | None:
    """Return how many trials share a card once one of them has run out of memory; None if it had the card to itself."""
    return None if trials == 1 else trials // 2
