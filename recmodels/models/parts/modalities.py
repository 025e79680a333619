"""The modalities of a data set in the order in which models take them, and their weights."""

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError

VISUAL = "image"
"""The modality that some models treat differently from the others."""


def modalities(data: RecDataset, model: str, *, first: str = VISUAL) -> list[str]:
    """Return the names of the modalities, `first` in front and the rest in order. DataError if there are none.

    `model` is the name of the model that needs them, for the message.
    """
    if not data.features:
        raise DataError(f"{data.name}: {model} needs item features, but the data set has none (expected *_feat.npy)")
    return sorted(data.features, key=lambda name: (name != first, name))


def image_weighted(names: list[str], image_weight: float) -> dict[str, float]:
    """Return the weight of each modality in an item graph: `image_weight` for images, the rest shared evenly.

    Without images, or with nothing else, all weigh the same.
    """
    if VISUAL not in names or len(names) == 1:
        return dict.fromkeys(names, 1 / len(names))
    others = (1 - image_weight) / (len(names) - 1)
    return {name: image_weight if name == VISUAL else others for name in names}
