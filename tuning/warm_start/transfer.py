"""Which points and values of other searches a search takes over.

Values mean the same only where model, data, metric, base and training are the same. Elsewhere a good point may still be
a good one to try: the best of each source come first, as Feurer et al. (AAAI 2015, "Initializing Bayesian
Hyperparameter Optimization via Meta-Learning") begin with the best point of each of the nearest data sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuning.proposals import LEARNERS, choose_sampler, first_points
from tuning.space import Choice, Space
from tuning.space.distributions import Scalar
from tuning.spec import KnownPoint, SearchSpec, WarmStart
from tuning.warm_start.sources import Configuration, Source

MOST = 5
"""Points of earlier searches that are trained: with the authors' three they are a fifth of the usual 40 trials, and a
Gaussian process, which draws its first ten points at random, has two left to draw."""
NEAR = 0.1
"""A point within this share of each range of one that is trained already says too little to be trained as well."""

Point = dict[str, Scalar]


@dataclass
class _Gift:
    """What one source gives. `reason`: why its values are not told, None if they are. `misfits`: why configurations are
    no points of the space. `taken`: how many of `points` are trained; `near`: how many are near others that are."""

    source: Source
    reason: str | None
    told: list[tuple[Configuration, Point]] = field(default_factory=list)
    points: list[tuple[Configuration, Point]] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    taken: int = 0
    near: int = 0


def warm_start(spec: SearchSpec, fingerprint: str, sources: Sequence[Source]) -> WarmStart:
    """Return what a search on the data with this fingerprint takes over from the sources.

    The values of configurations that this search would measure alike, if its sampler learns from such; and at most MOST
    points to train: the best of those whose values are told, then the first of each source, the second of each, the
    nearest source before others. What each source gives, or why it gives nothing, is said.
    """
    if not sources:
        return WarmStart(said=(f"nothing is taken over: no earlier search or export of {spec.strategy}",))
    known = sum(len(source.configurations) for source in sources)
    sampler = choose_sampler(spec.space, spec.budget.trials, spec.sampler, known)
    if sampler == "grid":
        return WarmStart(said=("nothing is taken over: a grid trains every point",))
    gifts = [_gift(source, spec, fingerprint, sampler) for source in sources]
    told = _told(gifts, spec.space)
    chosen = _chosen(gifts, told, spec, fingerprint)
    return WarmStart(points=(*chosen, *told), said=tuple(_lines(gifts)))


def unlike(source: Source, spec: SearchSpec, fingerprint: str) -> str | None:
    """Return why a value of the source is not one that the search would measure; None if only the base may differ."""
    if source.model != spec.model:
        return f"of {source.model}"
    if source.fingerprint != fingerprint:
        return "of other data"
    ours = spec.training.model_dump()
    for name, theirs in source.training.items():
        if theirs != ours[name]:
            return f"of {name} {theirs}, here {ours[name]}"
    return None


def _gift(source: Source, spec: SearchSpec, fingerprint: str, sampler: str) -> _Gift:
    reason = unlike(source, spec, fingerprint)
    if reason is None and spec.objectives:
        reason = "of one objective, here several"
    if reason is None and sampler not in LEARNERS:
        reason = f"nothing to {sampler}"
    gift = _Gift(source, reason)
    for each in source.configurations:
        if reason is None and (point := _same_point(spec.space, each)) is not None:
            gift.told.append((each, point))
            continue
        try:
            gift.points.append((each, _point(spec.space, each, same_model=source.model == spec.model)))
        except ValueError as error:
            gift.misfits.append(str(error))
    if reason is None and not gift.told:
        gift.reason = "of another base"
    return gift


def _same_point(space: Space, each: Configuration) -> Point | None:
    """Return the point at which a trial of the space has exactly these parameters, fixed ones included; else None."""
    values = _flat(each.params)
    if values.keys() != {p.name for p in space.parameters}:
        return None
    try:
        return space.point_of(values)
    except ValueError:
        return None


def _point(space: Space, each: Configuration, same_model: bool) -> Point:
    """Return the point that has the configuration's values of what the space searches; its base may be another.

    The base of another model says nothing of this one's. ValueError for a value outside of its range, for another
    strategy under the same name (a fixed knob that differs), and if the space searches nothing that is given.
    """
    searched = {p.name for p in space.parameters if p.coordinate in space.dimensions}
    ours = {p.name for p in space.parameters if p.section == "strategy"} | (searched if same_model else set())
    values = {name: value for name, value in _flat(each.params).items() if name in ours}
    if not searched & values.keys():
        raise ValueError("it gives no value to what is searched here")
    return space.point_of(values)


def _flat(params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for section in params.values() for name, value in section.items()}


def _told(gifts: Sequence[_Gift], space: Space) -> list[KnownPoint]:
    """Return the points with values, best first, each measurement once: an export repeats a trial of its search."""
    found: dict[tuple[Any, ...], KnownPoint] = {}
    for each, point in [pair for gift in gifts for pair in gift.told]:
        place = (round(at, 9) if isinstance(at, float) else at for at in _positions(space, point))
        key = (*place, each.value)
        found.setdefault(key, KnownPoint(point=point, source=each.source, value=each.value))
    return sorted(found.values(), key=lambda known: (-(known.value or 0.0), known.source))


def _chosen(gifts: Sequence[_Gift], told: Sequence[KnownPoint], spec: SearchSpec, fingerprint: str) -> list[KnownPoint]:
    """Return the points to train. The best told one is among them, so that this search has it as a trial of its own and
    ends no worse than what it knows."""
    chosen = [each.model_copy(update={"value": None}) for each in told[:1]]
    begun = first_points(spec.space, WarmStart(points=(*chosen, *told)))
    at = [_positions(spec.space, start.point) for start in begun] + [_positions(spec.space, k.point) for k in told]
    queue = [
        (rank, _distance(gift.source, spec, fingerprint), gift.source.name, gift, each, point)
        for gift in gifts
        for rank, (each, point) in enumerate(gift.points)
    ]
    for _, _, _, gift, each, point in sorted(queue, key=lambda entry: entry[:3]):
        place = _positions(spec.space, point)
        if any(_near(place, other) for other in at):
            gift.near += 1
        elif len(chosen) < MOST:
            chosen.append(KnownPoint(point=point, source=each.source))
            at.append(place)
            gift.taken += 1
    return chosen


def _distance(source: Source, spec: SearchSpec, fingerprint: str) -> int:
    """Return how far a source is: the model says more than the data."""
    return 2 * (source.model != spec.model) + (source.fingerprint != fingerprint)


def _positions(space: Space, point: Mapping[str, Scalar]) -> list[float | str]:
    """Return the place of each value in its range, from 0 to 1, or as text the value of a choice."""
    return [
        str(point[name]) if isinstance(each, Choice) else each.position(float(point[name]))
        for name, each in space.dimensions.items()
    ]


def _near(one: Sequence[float | str], other: Sequence[float | str]) -> bool:
    return all(
        abs(a - b) < NEAR if isinstance(a, float) and isinstance(b, float) else a == b
        for a, b in zip(one, other, strict=True)
    )


def _lines(gifts: Sequence[_Gift]) -> list[str]:
    """Return a line for each source that gives something, and one for all others."""
    giving = [f"{gift.source.name}: {_given(gift)}" for gift in gifts if gift.told or gift.taken]
    others = [f"{gift.source.name} ({_given(gift)})" for gift in gifts if not (gift.told or gift.taken)]
    return giving + ([f"nothing from {', '.join(others)}"] if others else [])


def _given(gift: _Gift) -> str:
    """Return what the search takes from one source and what not."""
    count = len(gift.source.configurations)
    if not count:
        return "no finished trial"
    parts = [f"{len(gift.told)} of {count} values told to the sampler"] if gift.told else []
    if gift.points:
        why = gift.reason or "of another base"
        near = f", {gift.near} near another" if gift.near else ""
        parts.append(f"{gift.taken} of {len(gift.points)} points trained first{near}; no values, they are {why}")
    if gift.misfits:
        parts.append(f"{len(gift.misfits)} not in this space: {gift.misfits[0]}")
    return "; ".join(parts)
