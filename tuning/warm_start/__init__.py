"""What a search takes over from earlier searches and exports."""

from tuning.warm_start.sources import Source, find_sources
from tuning.warm_start.transfer import warm_start

__all__ = ["Source", "find_sources", "warm_start"]
