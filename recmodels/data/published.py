"""The data sets of the field that papers report on: their sizes, and what makes a folder differ from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from recmodels.data.synthetic import PAPER_SETS

AMAZON = "Amazon product data, 1996 to 2014; McAuley et al., SIGIR 2015; He and McAuley, WWW 2016"

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Known:
    """`splits`: lines for training, validation and test in the published folder, less those of users without a training
    line. `category`: in Amazon's file names."""

    source: str
    splits: tuple[int, int, int] | None = None
    category: str | None = None


KNOWN = {  # the paper of Mirror Gradient prints 237,488 interactions for clothing: training and validation
    "baby": Known(AMAZON, (118_551, 20_559, 21_682), "Baby"),
    "sports": Known(AMAZON, (218_409, 37_899, 40_029), "Sports_and_Outdoors"),
    "clothing": Known(AMAZON, (197_338, 40_150, 41_189), "Clothing_Shoes_and_Jewelry"),
    "electronics": Known(AMAZON, None, "Electronics"),
    # The folder has 3,051 and 6,130 lines for validation and test; 10 are of users without a training line.
    "tiktok": Known("the folder that comes with DiffMM, Jiang et al., MM 2024", (59_541, 3_046, 6_125)),
}
FOLDER_NAMES = {"elec": "electronics"}  # what public folders are called otherwise
AMAZON_SETS = tuple(name for name, known in KNOWN.items() if known.category)


def difference(name: str, n_users: int, n_items: int, splits: Sequence[int]) -> str | None:
    """In words, where the sizes of a data set of a known name are not the published ones; None if they are."""
    name = FOLDER_NAMES.get(name, name)
    if name not in KNOWN:
        return None
    published = KNOWN[name].splits
    expected = dict(zip(("users", "items", "interactions"), PAPER_SETS[name][:3], strict=True))
    found = {"users": n_users, "items": n_items, "interactions": sum(splits)}
    if published:
        expected["interactions"] = sum(published)
        expected |= zip(PARTS, published, strict=True)
        found |= zip(PARTS, splits, strict=True)
    differing = [f"{found[what]:,} {what}, not {n:,}" for what, n in expected.items() if found[what] != n]
    return f"{name} is not as published: {'; '.join(differing)}" if differing else None
