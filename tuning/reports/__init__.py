"""Reports for people, on a terminal and in Markdown. They read records alone, so they need no ray, optuna or mlflow."""

from tuning.reports.columns import TrialRow, trial_columns
from tuning.reports.live import LiveTable
from tuning.reports.search_report import baseline_gain, below_popularity, best_table, summary_markdown
from tuning.reports.tables import Column, markdown_table, plain_columns, say, shown, table

__all__ = [
    "Column",
    "LiveTable",
    "TrialRow",
    "baseline_gain",
    "below_popularity",
    "best_table",
    "markdown_table",
    "plain_columns",
    "say",
    "shown",
    "summary_markdown",
    "table",
    "trial_columns",
]
