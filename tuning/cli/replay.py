"""--replay: train an exported configuration again and compare the metrics."""

from rich.console import Console
from rich.progress import Progress

from recmodels.data import RecDataset
from tuning.cli.arguments import Given, refuse
from tuning.cli.datasets import load_data
from tuning.cli.options import WITH_REPLAY
from tuning.execution.trial import fallback
from tuning.export import Export, read_trainable
from tuning.export.replay import TOLERANCE, Trained, agree, difference, replay
from tuning.reports.search_report import below_popularity
from tuning.reports.tables import plain_columns, say, table


def with_progress(export: Export, data: RecDataset, console: Console) -> Trained:
    """Train an exported configuration again, with a progress bar."""
    with Progress(console=console) as progress:
        task = progress.add_task(f"{export.model} on {export.dataset}", total=export.training.epochs)
        return replay(export, data, lambda row: progress.update(task, completed=row.epoch))


def run(given: Given, console: Console) -> int:
    """Print exported and replayed metrics; return 0 if they are the same, else 1.

    Digit by digit, but for the rounding of a metric's sum, or within a tolerance if the winner was trained on a GPU.
    """
    extra = given.keys() - {"replay", "output_dir", *WITH_REPLAY}
    refuse(given, sorted(extra), "has no meaning with --replay, whose file says everything")
    export = read_trainable(given["replay"])
    data = load_data(export.dataset, given)
    if data.fingerprint != export.data_fingerprint:
        say(console, f"warning: {export.dataset} is not the data of the export; other metrics are to be expected")
    if line := fallback(export.device):
        say(console, line)
    replayed = with_progress(export, data, console).scores
    popularity = export.popularity.model_dump() if export.popularity else None
    scores = {"exported": export.metrics.model_dump(), "replayed": replayed}
    if popularity:
        scores["popularity"] = popularity
    rows = [
        [f"{split} {name}", *(each[split][name] for each in scores.values())]
        for split, metrics in scores["exported"].items()
        for name in metrics
    ]
    console.print(table(plain_columns("metric", *scores, format="{:.6f}".format), rows))
    if warning := below_popularity(replayed, popularity, export.training.metric):
        say(console, warning)
    pairs = [(exported, again) for _, exported, again, *_ in rows]
    if all(exported == again for exported, again in pairs):
        print("the metrics are the same, digit by digit")
    elif all(agree(export, exported, again) for exported, again in pairs):
        within = f"within {TOLERANCE:.0%}: a GPU, which trained this, adds in no fixed order"
        print(f"the metrics are the same {within if export.device == 'cuda' else 'but for the rounding of their sums'}")
    else:
        worst = max(difference(*pair) for pair in pairs)
        beyond = f" by up to {worst:.2%}: those of a GPU are the same within {TOLERANCE:.0%}"
        print("the metrics differ" + (beyond if export.device == "cuda" else ""))
        return 1
    return 0
