"""The values that the parameters of a search may have. Loads no torch but in `catalogue`."""

from tuning.space.distributions import Choice, Distribution, Fixed, Range, Scalar
from tuning.space.layers import SECTIONS_OF_TUNE, load_space
from tuning.space.parameter import SECTIONS, Parameter, SpaceError
from tuning.space.space import Params, Space

__all__ = [
    "SECTIONS",
    "SECTIONS_OF_TUNE",
    "Choice",
    "Distribution",
    "Fixed",
    "Parameter",
    "Params",
    "Range",
    "Scalar",
    "Space",
    "SpaceError",
    "load_space",
]
