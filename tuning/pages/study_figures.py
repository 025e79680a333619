"""The figures that Optuna draws: parallel coordinates and the importance of each dimension. Imports optuna.

They need trials that finished: a trial that was stopped early has no score that compares with theirs.
"""

from collections.abc import Sequence
from html import escape

import optuna
import plotly.graph_objects as go
from optuna import Study
from optuna.importance import get_param_importances
from optuna.trial import create_trial
from optuna.visualization import plot_parallel_coordinate, plot_param_importances
from plotly.colors import sample_colorscale

from tuning.pages.look import SCALE, series
from tuning.proposals.study import optuna_distributions
from tuning.records import TrialRecord
from tuning.space import Space

LEAST = 4
"""Finished trials below which nothing is said of the importance of a dimension."""


def study_of(space: Space, records: Sequence[TrialRecord]) -> Study:
    """Return a study in memory of the trials that finished at a point of the space; the search's own stays as it is."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, distributions = optuna.create_study(direction="maximize"), optuna_distributions(space)
    study.add_trials(
        [
            create_trial(value=record.value, params=record.point, distributions=distributions)
            for record in records
            if record.status == "finished" and record.value is not None and record.point.keys() == distributions.keys()
        ]
    )
    return study


def importances(study: Study) -> dict[str, float]:
    """Return dimension -> its share in whether a trial is among the best, the largest first; {} if too little is known.

    PED-ANOVA, Watanabe et al., IJCAI 2023, arXiv 2304.10255: milliseconds, where a forest of trees takes seconds.
    """
    values = {trial.value for trial in study.get_trials(deepcopy=False)}
    if len(study.get_trials(deepcopy=False)) < LEAST or len(values) < 2:
        return {}
    return get_param_importances(study)


def importance_figure(study: Study) -> go.Figure:
    """Return the importances as bars; only where `importances` are known."""
    figure = plot_param_importances(study)
    figure.update_layout(title=None, showlegend=False)
    figure.update_xaxes(title="share of importance", rangemode="tozero")
    figure.update_yaxes(title=None)
    figure.update_traces(
        marker={"color": series(0).color},
        textfont={"color": "var(--ink)"},
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )
    figure.data[0].y = [escape(name) for name in figure.data[0].y]
    return figure


def parallel_figure(study: Study, metric: str) -> go.Figure:
    """Return each finished trial as a line through its score and its values, coloured by score."""
    figure = plot_parallel_coordinate(study, target_name=metric)
    figure.update_layout(title=None)
    figure.for_each_annotation(
        lambda tick: tick.update(text=escape(tick.text), font={"color": "var(--ink)"}, bgcolor="var(--card)")
    )
    figure.for_each_shape(lambda axis: axis.update(line={"color": "var(--line)"}))
    figure.layout.xaxis.ticktext = [escape(text) for text in figure.layout.xaxis.ticktext]
    for trace in figure.data:
        if trace.mode == "lines":
            trace.line.color = sample_colorscale(SCALE, [trace.y[0]])[0]
            trace.line.width, trace.opacity = 1.5, 0.8 if len(figure.data) < 100 else 0.4
        elif trace.marker.colorscale is not None:
            trace.marker.colorscale, trace.marker.reversescale = SCALE, False
    figure.data = sorted(figure.data, key=lambda trace: trace.y[0] or 0.0)  # the best above the others
    return figure
