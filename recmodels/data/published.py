"""The data sets that papers of the field report on: their sizes, and how a folder differs from them."""

from collections.abc import Sequence
from typing import NamedTuple

from recmodels.data.splits import PARTS
from recmodels.data.synthetic import PAPER_SETS


class PublishedSet(NamedTuple):
    """Size and origin of a data set of the field; PAPER_SETS has its numbers of users and items.

    `splits`: lines for training, validation and test in the published folder, without those of users without a training
    line. `category`: its name in Amazon's file names."""

    splits: tuple[int, int, int] | None = None
    category: str | None = None


PUBLISHED = {  # the paper of Mirror Gradient prints 237,488 interactions for clothing: training and validation
    # Amazon product data, 1996 to 2014; McAuley et al., SIGIR 2015; He and McAuley, WWW 2016
    "baby": PublishedSet((118_551, 20_559, 21_682), "Baby"),
    "sports": PublishedSet((218_409, 37_899, 40_029), "Sports_and_Outdoors"),
    "clothing": PublishedSet((197_338, 40_150, 41_189), "Clothing_Shoes_and_Jewelry"),
    "electronics": PublishedSet(category="Electronics"),
    # The folder that comes with DiffMM, Jiang et al., MM 2024: 3,051 and 6,130 lines for validation and test, 10 of
    # them of users without a training line.
    "tiktok": PublishedSet((59_541, 3_046, 6_125)),
}
FOLDER_NAMES = {"elec": "electronics"}  # other names of public folders
AMAZON_SETS = tuple(name for name, published in PUBLISHED.items() if published.category)


def difference(name: str, n_users: int, n_items: int, splits: Sequence[int]) -> str | None:
    """Return, as text, how the sizes differ from the published ones; None if they agree or none are published."""
    name = FOLDER_NAMES.get(name, name)
    if name not in PUBLISHED:
        return None
    published = PUBLISHED[name].splits
    expected = dict(zip(("users", "items", "interactions"), PAPER_SETS[name][:3], strict=True))
    found = {"users": n_users, "items": n_items, "interactions": sum(splits)}
    if published:
        expected["interactions"] = sum(published)
        expected |= zip(PARTS, published, strict=True)
        found |= zip(PARTS, splits, strict=True)
    differing = [f"{found[size]:,} {size}, not {n:,}" for size, n in expected.items() if found[size] != n]
    return f"{name} is not as published: {'; '.join(differing)}" if differing else None
