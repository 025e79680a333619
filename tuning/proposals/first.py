"""The points that a search begins with. Loads no optuna."""

from recmodels.errors import UserError
from tuning.space import Space, StartPoint
from tuning.space.distributions import meant
from tuning.spec import SearchSpec, WarmStart


def first_points(space: Space, warm_start: WarmStart) -> list[StartPoint]:
    """Return the points to train before those of the sampler, each once.

    The space's own first, unless the sampler is told their values, then those of earlier searches.
    """
    told = [known.point for known in warm_start.points if known.value is not None]
    points = [start for start in space.starts()[0] if start.point not in told]
    for known in warm_start.points:
        if known.value is None and known.point not in [start.point for start in points]:
            points.append(StartPoint(dict(known.point), known.source))
    return points


def check_known(spec: SearchSpec) -> None:
    """Raise UserError unless the points of the spec's warm start are points of its space."""
    dimensions = spec.space.dimensions
    if spec.objectives and spec.warm_start.told:
        raise UserError(
            "warm_start: expected points without values, as they are of one objective and the search has several"
        )
    for known in spec.warm_start.points:
        try:
            if known.point.keys() != dimensions.keys():
                raise ValueError(f"expected a value for each of {sorted(dimensions)}, but got {sorted(known.point)}")
            for name, distribution in dimensions.items():
                meant(distribution, known.point[name])
        except ValueError as error:
            raise UserError(f"warm_start: {known.source}: {error}") from None
