"""Properties of a trained model, as pure functions of its state and the data."""

from recmodels.analysis.robust_score import robust_score
from recmodels.analysis.sharp_score import sharp_score
from recmodels.analysis.sharpness import sharpness

__all__ = ["robust_score", "sharp_score", "sharpness"]
