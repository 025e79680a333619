"""The values that the parameters of a search may have. Only `catalogue` loads torch."""

from tuning.space.distributions import Choice, Fixed, Range
from tuning.space.first import FirstPoint, StartPoint
from tuning.space.layers import SECTIONS_OF_TUNE, load_space
from tuning.space.pairs import GRADES, Figures, Pair, read_pair
from tuning.space.parameter import SECTIONS, Parameter, SpaceError
from tuning.space.space import Params, Space

__all__ = [
    "GRADES",
    "SECTIONS",
    "SECTIONS_OF_TUNE",
    "Choice",
    "Figures",
    "FirstPoint",
    "Fixed",
    "Pair",
    "Parameter",
    "Params",
    "Range",
    "Space",
    "SpaceError",
    "StartPoint",
    "load_space",
    "read_pair",
]
