"""Experiments of several searches that answer one question."""

from tuning.experiments.comparison import REFERENCE, Comparison
from tuning.experiments.results import StrategyResult, read_results
from tuning.experiments.runner import run_comparison

__all__ = ["REFERENCE", "Comparison", "StrategyResult", "read_results", "run_comparison"]
