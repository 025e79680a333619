"""Tell Amazon's files of 2014, 2018 and 2023 apart by their keys.

2014: McAuley et al., SIGIR 2015; 2018: Ni et al., EMNLP 2019; 2023: Hou et al., arXiv 2403.03952.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ReviewKeys:
    """The keys of an interaction in a file of reviews or in the header of a file of ratings.

    `years`: the generations that have them. `per_second`: the unit of times, 1000 for milliseconds."""

    years: str
    user: str
    item: str
    rating: str
    time: str
    per_second: int = 1

    @property
    def names(self) -> tuple[str, str, str, str]:
        """User, item, rating and time, in the order of a file of ratings."""
        return self.user, self.item, self.rating, self.time


EITHER = "2014 or 2018"
OLD = ReviewKeys(EITHER, "reviewerID", "asin", "overall", "unixReviewTime")
NEW = ReviewKeys("2023", "user_id", "parent_asin", "rating", "timestamp", per_second=1000)
PLAIN = ReviewKeys(EITHER, "user", "item", "rating", "timestamp")  # what the columns of ratings without a header are
REVIEWS = (OLD, NEW)

ONLY_2014_REVIEWS, ONLY_2018_REVIEWS = {"helpful"}, {"verified", "vote", "style", "image"}
ONLY_2014_ITEMS = {"categories", "related", "imUrl", "salesRank"}
ONLY_2018_ITEMS = {"category", "feature", "also_buy", "also_view", "main_cat", "tech1", "tech2", "imageURLHighRes"}

METADATA = {
    "2014": ("asin", "title", "brand", "categories", "description"),
    "2018": ("asin", "title", "brand", "category", "description", "feature"),
    "2023": ("parent_asin", "title", "store", "categories", "description", "features"),
}


def review_keys(found: Iterable[object]) -> ReviewKeys | None:
    """Return the keys that are all among the ones `found`, with the year if a further key tells it; None for others."""
    keys = set(found)
    if keys.issuperset(NEW.names):
        return NEW
    if not keys.issuperset(OLD.names):
        return None
    years = "2018" if keys & ONLY_2018_REVIEWS else "2014" if keys & ONLY_2014_REVIEWS else EITHER
    return ReviewKeys(years, *OLD.names)


def metadata_year(found: Iterable[object]) -> str:
    """Return the generation of metadata that has the keys `found`."""
    keys = set(found)
    if NEW.item in keys:
        return "2023"
    return "2018" if keys & ONLY_2018_ITEMS else "2014" if keys & ONLY_2014_ITEMS else EITHER


def agree(one: str, other: str) -> bool:
    """Return whether two files may be of the same generation."""
    return one in other or other in one


def unknown_keys(found: Iterable[object], kind: str) -> str:
    """Return the end of a message on keys that no generation has. `kind`: reviews or metadata."""
    known = {keys.years: keys.names for keys in REVIEWS} if kind == "reviews" else METADATA
    expected = "; ".join(f"of {years} {', '.join(names)}" for years, names in known.items())
    return f"found {', '.join(map(str, found)) or 'no keys'}, expected those of Amazon's {kind}: {expected}"
