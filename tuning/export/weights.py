"""The trained weights of an export: where they are, and whether they are those that its metrics are of."""

from pathlib import Path

from recmodels.data.dataset import RecDataset
from recmodels.evaluation import evaluate
from recmodels.models import Recommender
from tuning.export.model import Export
from tuning.export.replay import agree
from tuning.records import SearchFolder


def kept_weights(export: Export, searches: Path) -> Path | None:
    """Return the winner's weights in the folder of its search below `searches`; None if they are not there.

    The winner is the trial whose parameters, seed, best epoch and validation metrics are the exported ones, in a search
    of the same data. UserError for a damaged folder.
    """
    folder = SearchFolder(searches / export.search.name)
    environment = folder.environment() if folder.exists() else None
    if environment is None or environment.data.fingerprint != export.data_fingerprint:
        return None
    wanted = {str(section): values for section, values in export.parameters.items()}
    for record in folder.contenders():
        same = (record.params, record.seed, record.best_epoch, record.valid) == (
            wanted,
            export.seed,
            export.training.best_epoch,
            export.metrics.valid,
        )
        path = folder.trial(record.trial).best_weights(export.training.best_epoch)
        if same and path.is_file():
            return path
    return None


def disagreement(export: Export, model: Recommender, data: RecDataset) -> str | None:
    """Return what a model's validation metric is, if it is not the exported one; None if both agree."""
    metric = export.training.metric
    reached = evaluate(model, data, "valid", export.training.ks)[metric]
    expected = export.metrics.valid[metric]
    if agree(export, expected, reached):
        return None
    return f"{metric} on validation is {reached:.6f}, but {expected:.6f} in the export"
