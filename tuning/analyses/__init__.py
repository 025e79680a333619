"""Analyses of exported configurations: what is measured again on their trained weights, and its files and figures."""
