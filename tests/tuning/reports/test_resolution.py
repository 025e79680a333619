"""What differences between trials are worth, in the words of the terminal and of the page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmodels.data.dataset import Interactions, RecDataset
from tests.tuning.factories import made_folder, made_spec
from tests.tuning.reports.factories import METRIC, record
from tuning.records import BASELINE, SearchFolder, TrialRecord
from tuning.records.user_values import write_user_values
from tuning.reports.resolution import expected_resolution, measured_resolution
from tuning.reports.search_report import summary_markdown

USERS = 3046


def split(users: int, hit: int) -> RecDataset:
    """Every user has one item to find: of the first `hit` users one of the twenty popular ones, else one of 4,000."""
    each = np.arange(users)
    train = Interactions.from_pairs(each, each % 20, users)
    found = Interactions.from_pairs(each, np.where(each < hit, (each + 1) % 20, 30), users)
    return RecDataset("made", users, 4000, train, found, found, {}, "made")


def searched(tmp_path: Path, values: dict[str, np.ndarray], **changes: Any) -> tuple[SearchFolder, list[TrialRecord]]:
    """A search whose trials have these values of users."""
    folder, records = SearchFolder(tmp_path), []
    for name, each in values.items():
        folder.trial(name).path.mkdir(parents=True)
        write_user_values(folder.trial(name), each)
        records.append(record(name, float(each.mean()), **changes))
    return folder, records


def hits(levels: list[float], shared: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Hits by trials of these levels: of a share of the users all trials have the same luck."""
    rng = np.random.default_rng(seed)
    luck, alike = rng.random(USERS), rng.random(USERS) < shared
    return {
        f"{number:04}": (np.where(alike, luck, rng.random(USERS)) < level).astype(np.float32)
        for number, level in enumerate(levels)
    }


def test_before_a_search_the_split_says_what_it_can_tell_apart() -> None:
    """3,046 users with one positive each, as tiktok's, and models at twice popularity's level."""
    line = expected_resolution(split(USERS, hit=150), METRIC)
    level = 300 / USERS
    alone = 1.96 * np.sqrt(level * (1 - level) / USERS)
    assert line == (
        f"3,046 users validate: differences of recall@20 under about {alone * 0.4**0.5:.2g} between trials cannot be "
        f"told apart (between unpaired values {alone * 2**0.5:.2g})"
    )


def test_a_larger_split_tells_smaller_differences_apart() -> None:
    lines = [expected_resolution(split(users, users // 20), METRIC) for users in (500, 50_000)]
    small, large = (float(line.partition("about ")[2].split()[0]) for line in lines)
    assert small / large == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("users", [0, 1])
def test_a_split_of_one_user_tells_nothing_apart(users: int) -> None:
    data = split(5, hit=5)
    few = Interactions.from_pairs(np.arange(users), np.zeros(users, dtype=np.int64), 5)
    line = expected_resolution(replace(data, valid=few), METRIC)
    assert line == f"validation has {users} user: no difference between trials can be told apart"


def test_after_a_search_the_users_say_what_is_luck(tmp_path: Path) -> None:
    folder, records = searched(tmp_path, hits([0.09] * 9 + [0.04], shared=0.8))
    said = measured_resolution(folder, records, METRIC)
    assert said is not None
    assert said.startswith("3,046 users validated the 10 trials that finished: differences of recall@20 under 0.0")
    smallest = float(said.partition("under ")[2].split()[0])
    assert 0.005 < smallest < 0.008  # 1.96 * sqrt(2 * 0.2 * 0.09 * 0.91 / 3046) = 0.0064 for most of the pairs
    assert "is what luck of the users alone gives; 9 of the 10 may be the best" in said
    assert "Ten more such trials are likely to gain 0.00" in said


def test_equal_trials_promise_no_gain(tmp_path: Path) -> None:
    for seed in range(20):  # as often as not luck explains more than all of the spread
        folder, records = searched(tmp_path / str(seed), hits([0.09] * 6, shared=0.8, seed=seed))
        said = measured_resolution(folder, records, METRIC) or ""
        if "is no more than luck of the users gives; 6 of the 6 may be the best" in said:
            assert "more such trials" not in said
            return
    pytest.fail("never")


def test_the_same_trial_twice(tmp_path: Path) -> None:
    values = hits([0.09], shared=0.0)["0000"]
    folder, records = searched(tmp_path, {"0000": values, "0001": values})
    assert (measured_resolution(folder, records, METRIC) or "").endswith(
        "cannot be told apart. All have the same value."
    )


def test_trials_without_values_are_counted(tmp_path: Path) -> None:
    """Those of an older version; stopped and failed ones, a baseline and other seeds are no rivals."""
    folder, records = searched(tmp_path, hits([0.09, 0.09, 0.05], shared=0.8))
    others = [
        record("0003", 0.1),
        record("0004", 0.1, "pruned"),
        record("0005", None, "failed"),
        record(BASELINE, 0.05),
        record("0006", 0.1, role="confirmation"),
    ]
    said = measured_resolution(folder, records + others, METRIC) or ""
    assert said.startswith("3,046 users validated the 3 trials that finished (1 others have no users.npy): ")
    assert "of the 3 may be the best" in said


def test_nothing_is_said_of_fewer_than_two(tmp_path: Path) -> None:
    folder, records = searched(tmp_path, hits([0.09], shared=0.0))
    assert measured_resolution(folder, [*records, record("0001", 0.1)], METRIC) is None
    assert measured_resolution(folder, [], METRIC) is None


def test_a_damaged_file_is_named_and_stops_nothing(tmp_path: Path) -> None:
    folder, records = searched(tmp_path, hits([0.09, 0.08], shared=0.0))
    path = folder.trial("0001").user_values
    path.write_bytes(b"hello")
    said = measured_resolution(folder, records, METRIC) or ""
    assert said.startswith(f"what differences between trials are worth is not known: {path}: not the values of users")


def test_the_page_has_it_below_the_trials() -> None:
    page = summary_markdown(
        made_spec(), [record("0000", 0.5)], None, None, resolution="Differences under 0.01 are luck."
    )
    trials, difference, following = (
        page.index("### Best trials"),
        page.index("Differences under"),
        page.index("### Next"),
    )
    assert trials < difference < following
    assert "### What a difference means" not in summary_markdown(made_spec(), [record("0000", 0.5)], None, None)


def test_the_page_of_an_older_search_says_nothing(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    assert measured_resolution(folder, folder.ledger().values(), METRIC) is None
