"""Reports for people, on a terminal and in Markdown. They read records alone, so they need no ray, optuna or mlflow."""

from tuning.reports.columns import TrialRow, trial_columns
from tuning.reports.live import LiveTable
from tuning.reports.search_report import best_table, summary_markdown
from tuning.reports.tables import Column

__all__ = ["Column", "LiveTable", "TrialRow", "best_table", "summary_markdown", "trial_columns"]
