"""Overviews: an experiment for each of many pairs of a model and a data set, and one table of them all."""

from tuning.overview.plan import Overview, PlannedPair
from tuning.overview.report import terminal_table, write_tables
from tuning.overview.runner import ended_pairs, run_overview
from tuning.overview.table import OverviewTable, read_table

__all__ = [
    "Overview",
    "OverviewTable",
    "PlannedPair",
    "ended_pairs",
    "read_table",
    "run_overview",
    "terminal_table",
    "write_tables",
]
