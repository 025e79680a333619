"""Random numbers that are common to everything that is compared: each follows from what it is drawn for."""

import hashlib

import torch


def seed_of(*parts: object) -> int:
    """Return a seed, below 2**63, that follows from the parts, such as a seed, a measure, a level and a repeat.

    Another part gives an unrelated seed: to add a level or a repeat moves none of the others.

    >>> seed_of(999, "noise", 0.1, 0) == seed_of(999, "noise", 0.1, 0) != seed_of(999, "noise", 0.1, 1)
    True
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def generator_of(*parts: object) -> torch.Generator:
    """Return torch's generator of the CPU with the seed of the parts: every device gets the same numbers."""
    return torch.Generator().manual_seed(seed_of(*parts))
