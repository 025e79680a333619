"""Trials run by Ray Tune. No other package imports Ray, which reads `settings` when it is loaded."""
