"""Pareto fronts of vectors with a value for each objective, of which larger ones are better."""

import math
from collections.abc import Sequence

Vector = Sequence[float]


def dominates(one: Vector, other: Vector) -> bool:
    """Return whether `one` is at least as good as `other` in every objective, and better in some."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def front(vectors: Sequence[Vector]) -> list[int]:
    """Return the places of the vectors that no other dominates, ascending; of equal ones all."""
    found = list[int]()
    # What dominates a vector is larger in the first objective in which they differ, so that it comes before it.
    for place in sorted(range(len(vectors)), key=lambda place: tuple(vectors[place]), reverse=True):
        if not any(dominates(vectors[other], vectors[place]) for other in found):
            found.append(place)
    return sorted(found)


def knee(vectors: Sequence[Vector]) -> int:
    """Return the place of the compromise: the vector nearest to the best value of every objective at once.

    Distances are Euclidean, each objective measured by the range of these vectors. Of equally near ones the one that is
    better in the first objective, then the first one. ValueError without vectors.
    """
    distances = [math.dist(each, [1.0] * len(each)) for each in _scaled(vectors)]
    # The scaled values of a front of two points are mirror images, whose distances differ by rounding alone.
    return min(range(len(vectors)), key=lambda place: (round(distances[place], 12), -vectors[place][0], place))


def spread_over(vectors: Sequence[Vector], most: int, begin: int) -> list[int]:
    """Return the places of at most `most` vectors that lie far from each other, `begin` first.

    Each next one is the farthest from all before it (Gonzalez, Theoretical Computer Science 38, 1985), with the
    distances of `knee`; of equally far ones the first.
    """
    scaled = _scaled(vectors)
    taken = [begin][:most]
    while len(taken) < min(most, len(vectors)):
        others = [place for place in range(len(vectors)) if place not in taken]
        taken.append(max(others, key=lambda place: min(math.dist(scaled[place], scaled[each]) for each in taken)))
    return taken


def _scaled(vectors: Sequence[Vector]) -> list[tuple[float, ...]]:
    """Return the vectors with the worst value of each objective at 0 and the best at 1; at 1 where all are equal."""
    columns = list(zip(*vectors, strict=True))
    ranges = [(min(column), max(column)) for column in columns]
    return [
        tuple(
            (value - low) / (high - low) if high > low else 1.0 for value, (low, high) in zip(each, ranges, strict=True)
        )
        for each in vectors
    ]
