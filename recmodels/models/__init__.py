"""The models by name."""

from recmodels.models.base import Recommender
from recmodels.models.grcn import GRCN
from recmodels.models.lightgcn import LightGCN
from recmodels.models.vbpr import VBPR

MODELS: dict[str, type[Recommender]] = {"GRCN": GRCN, "LightGCN": LightGCN, "VBPR": VBPR}

__all__ = ["MODELS", "Recommender"]
