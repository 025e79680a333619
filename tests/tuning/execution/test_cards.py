"""The trials that share a card, of made meters."""

import pytest

from tuning.execution.cards import GIB, MOST, MOST_UNSEEN, Meter, Reading, Share, fewer, share, trials_per_card

MANY = 1000
"""Cores and work for any number of trials."""


def card(gib: float | None, *taken: float | None, around: float = 0.5, busy: float | None = None) -> Meter:
    """A card of so many GiB; what torch took of it at each point, and what a process takes besides."""
    readings = tuple(Reading(None if each is None else each * GIB, int(around * GIB), busy) for each in taken)
    return Meter("made", None if gib is None else int(gib * GIB), readings)


@pytest.mark.parametrize(
    ("meter", "trials"),
    [
        (card(80, 0.5, busy=0.02), MOST),  # small data: neither memory nor load sets a limit
        (card(80, 0.5, busy=0.0), MOST),
        (card(80, 0.5), MOST_UNSEEN),  # no figure of the load
        (card(80, 0.5, busy=0.175), 6),
        (card(80, 0.5, busy=0.24), 5),
        (card(80, 0.5, busy=1.0), 1),
        (card(80, 9.5, busy=0.02), 6),  # 80 / (1.15 * 10), the process's own half GiB included
        (card(80, 0.5, 9.5, busy=0.02), 6),  # the largest point decides on memory
        (card(80, 9.5, 0.5, busy=0.02), 6),
        (card(80, 60, busy=0.02), 1),
        (card(80, 0.5, float("inf"), busy=0.02), 1),  # the largest point had no room on the whole card
        (card(80, 200, busy=0.02), 1),
        (card(80, None, busy=0.02), 1),  # without a figure of memory none would be safe beside another
        (card(80, 0.5, None, busy=0.02), 1),
        (card(None, 0.5, busy=0.02), 1),
    ],
)
def test_memory_and_load_decide_how_many_trials_share_a_card(meter: Meter, trials: int) -> None:
    assert trials_per_card([meter], MANY) == trials


def test_the_usual_point_decides_on_the_load() -> None:
    small, large = Reading(GIB, 0, 0.1), Reading(2 * GIB, 0, 0.9)
    assert trials_per_card([Meter("made", 80 * GIB, (small, large))], MANY) == 10


def test_of_two_different_cards_the_lesser_decides() -> None:
    large, small = card(80, 3.5, busy=0.05), card(16, 3.5, busy=0.3)
    assert [trials_per_card([each], MANY) for each in (large, small)] == [MOST, 3]
    assert trials_per_card([large, small], MANY) == trials_per_card([small, large], MANY) == 3


def test_there_are_no_more_than_cores_and_work_for_them() -> None:
    assert trials_per_card([card(80, 0.5, busy=0.02)], 3) == 3
    assert trials_per_card([card(80, 0.5, busy=0.02)], 0) == 1


@pytest.mark.parametrize("trials", range(1, MOST + 1))
def test_so_many_shares_fit_on_a_card_and_not_one_more(trials: int) -> None:
    gpus = share([card(80, 0.5)], trials).gpus
    assert int(1 / gpus + 1e-9) == trials
    assert round(gpus * 1e4) * trials <= 1e4, "Ray counts in steps of 1e-4"


def test_torch_may_take_a_part_less_what_the_process_takes_besides() -> None:
    assert share([card(80, 0.5, around=0.8)], 4) == Share(4, 0.24)
    assert share([card(80, 0.5, around=0.8), card(16, 0.5, around=0.8)], 4) == Share(4, 0.2)


def test_there_is_no_cap_alone_nor_without_a_figure() -> None:
    assert share([card(80, 0.5)], 1) == Share(1, None)
    assert share([card(None, None)], 2).memory is None
    assert share([card(1, 0.1, around=0.6)], 2).memory is None, "nothing would be left for torch"


def test_a_lack_of_memory_halves_the_trials_on_a_card_down_to_one() -> None:
    assert [fewer(trials) for trials in (16, 7, 3, 2, 1)] == [8, 3, 1, 1, None]


def test_a_card_says_what_was_measured() -> None:
    assert str(card(79.1, 0.75, busy=0.17)) == (
        "made: a trial holds up to 1.25 of 79.1 GiB, one keeps it busy for 17% of the time"
    )
    assert str(card(None, None)) == "made: no figure of its memory, no figure of its load"
    assert "the largest configuration has no room in its 80.0 GiB" in str(card(80, 1, float("inf")))
