"""Multimodal recommenders, their data, training strategies and evaluation, in plain PyTorch."""
