"""What a trained model is like: pure functions of its state and the data."""

from recmodels.analysis.sharpness import sharpness

__all__ = ["sharpness"]
