"""Experiments of several searches that answer one question: is a strategy better than the reference?"""

from tuning.experiments.conclusion import conclude
from tuning.experiments.experiment import REFERENCE, Confirm, Experiment
from tuning.experiments.results import StrategyResult, read_results
from tuning.experiments.runner import run_experiment

__all__ = ["REFERENCE", "Confirm", "Experiment", "StrategyResult", "conclude", "read_results", "run_experiment"]
