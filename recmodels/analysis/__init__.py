"""Properties of a trained model, as pure functions of its state and the data."""

from recmodels.analysis.sharpness import sharpness

__all__ = ["sharpness"]
