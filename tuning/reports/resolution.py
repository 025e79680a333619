"""What a difference between the trials of a search is worth, in a paragraph: expected before it, measured after it."""

import math
from collections.abc import Iterable

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.evaluation import user_values
from recmodels.evaluation.resolution import Differences, Spread, differences, forecast, smallest_difference
from recmodels.metric import Metric
from recmodels.models.popularity import Popularity
from tuning.records import SearchFolder, TrialRecord, ranked
from tuning.records.user_values import read_user_values

WORTH = 0.01
"""The share of the best value below which a gain is called small."""


def expected_resolution(data: RecDataset, metric: str) -> str:
    """Return which differences validation is likely not to tell apart, from the split and popularity's ranking."""
    values = user_values(Popularity(data), data, "valid", Metric(metric))
    if len(values) < 2:
        return f"validation has {len(values)} user: no difference between trials can be told apart"
    found = forecast(values)
    paired, unpaired = (smallest_difference(error) for error in (found.paired, found.unpaired))
    return (
        f"{found.users:,} users validate: differences of {metric} under about {_shown(paired)} between trials cannot "
        f"be told apart (between unpaired values {_shown(unpaired)})"
    )


def measured_resolution(folder: SearchFolder, records: Iterable[TrialRecord], metric: str) -> str | None:
    """Return what the users' values say of the differences between the trials that finished.

    None with fewer than two such trials that have values. A damaged file of values is named.
    """
    searched = (record for record in ranked(records) if record.role == "search")  # seeds do not compete
    finished = [record.trial for record in searched if record.status == "finished"]
    try:
        values = list(read_user_values(folder, finished).values())
    except UserError as error:
        return f"what differences between trials are worth is not known: {error}"
    if len(values) < 2 or len(values[0]) < 2:
        return None
    found = differences(values)
    missing = f" ({len(finished) - len(values)} others have no users.npy)" if len(values) < len(finished) else ""
    smallest = smallest_difference(math.sqrt(2) * found.spread.luck)
    return " ".join(
        [
            f"{found.users:,} users validated the {len(values)} trials that finished{missing}: differences of {metric} "
            f"under {_shown(smallest)} between two of them cannot be told apart.",
            *_on_luck(found),
            *_on_more_trials(found.spread, float(found.means.max())),
        ]
    )


def _on_luck(found: Differences) -> list[str]:
    spread, rivals = found.spread, int(found.may_be_best().sum())
    if not spread.observed:
        return ["All have the same value."]
    if spread.true:
        share = (
            f"Of their spread of {_shown(spread.observed)}, {_shown(spread.luck)} is what luck of the users alone gives"
        )
    else:
        share = f"Their spread of {_shown(spread.observed)} is no more than luck of the users gives"
    return [
        f"{share}; {rivals if rivals > 1 else 'only one'} of the {spread.configurations} may be the best, and the best "
        f"value is likely to be too high by {_shown(spread.flattery)} at least."
    ]


def _on_more_trials(spread: Spread, best: float) -> list[str]:
    if not spread.true:
        return []
    n = spread.configurations
    gain, enough = spread.gain(n + 10) - spread.gain(n), spread.enough(WORTH * best)
    passed = f"under {WORTH:.0%} from about {enough} trials on"
    return [f"Ten more such trials are likely to gain {_shown(gain)} at most ({passed})."]


def _shown(value: float) -> str:
    return f"{value:.2g}"
