"""The training strategies by name: a part, or parts of different layers joined by `+`, as in `amr+mg` or `sam+mg`."""

from collections.abc import Mapping
from typing import Any

from recmodels.models.base import Recommender
from recmodels.signatures import keywords
from recmodels.training.batch_loss import Precision
from recmodels.training.strategies.amr import AMR
from recmodels.training.strategies.averaging import EMA, SWA
from recmodels.training.strategies.base import Part
from recmodels.training.strategies.bsam import BSAM, BSAMPlus
from recmodels.training.strategies.controls import Repeated, ScaledRate
from recmodels.training.strategies.mg import MirrorGradient
from recmodels.training.strategies.sam import ASAM, GSAM, SAM, GradientNormPenalty
from recmodels.training.strategies.ssam import DynamicSAM, FisherSAM
from recmodels.training.strategies.strategy import Strategy

PARTS: dict[str, type[Part]] = {
    "amr": AMR,
    "sam": SAM,
    "asam": ASAM,
    "gsam": GSAM,
    "gnp": GradientNormPenalty,
    "ssam_f": FisherSAM,
    "ssam_d": DynamicSAM,
    "bsam": BSAM,
    "bsam_plus": BSAMPlus,
    "mg": MirrorGradient,
    "plain_lr": ScaledRate,
    "plain_repeat": Repeated,
    "ema": EMA,
    "swa": SWA,
}
"""The parts by name, in the order of their layers. A strategy has at most one of each layer; `plain` has none."""
ALIASES = {"sam_mg": ("sam", "mg")}
"""Reconstructions that are compositions. `sam_mg`: the mirror part of Srivastava, Wu, Sharpness-Aware Mirror Gradient,
ICCV 2025 Workshops, from its abstract."""
CONTROLS = ("plain_lr", "plain_repeat")
"""Strategies that a gain over plain training has to beat as well."""
STRATEGIES = ("plain", *PARTS, *ALIASES)
"""All names that a composition may be made of."""


def canonical(name: str) -> str:
    """Return the name with its parts in the order of the layers. Raises ValueError if it is no strategy."""
    return name if name in ALIASES else "+".join(parts_of(name)) or "plain"


def parts_of(name: str) -> dict[str, type[Part]]:
    """Return the strategy's parts by name, in the order of the layers. Raises ValueError if it is no strategy."""
    wanted = [part for piece in name.split("+") for part in ALIASES.get(piece, (piece,))]
    for part in wanted:
        if part not in STRATEGIES:
            raise ValueError(f"there is no strategy {part!r}; there are {', '.join(STRATEGIES)}")
    for layer in dict.fromkeys(part.layer for part in PARTS.values()):
        same_layer = [part for part in wanted if part in PARTS and PARTS[part].layer == layer]
        if len(same_layer) > 1:
            raise ValueError(f"{name}: {' and '.join(same_layer)} are each a whole {layer}, expected at most one")
    return {part: made_by for part, made_by in PARTS.items() if part in wanted}


def is_reconstruction(name: str) -> bool:
    """Return whether the method was rebuilt from less than its full text: its results are not its paper's."""
    parts = parts_of(name)
    composed = any(parts.keys() >= {*names} for names in ALIASES.values())
    return composed or any(part.reconstruction for part in parts.values())


def knobs(name: str) -> list[str]:
    """Return the names of a strategy's hyper-parameters. Raises ValueError if it is no strategy."""
    return [knob for part in parts_of(name).values() for knob in keywords(part)]


def make_strategy(
    name: str,
    model: Recommender,
    values: Mapping[str, Any] = {},
    *,
    clip_norm: float | None = None,
    seed: int = 0,
    precision: Precision = "fp32",
) -> Strategy:
    """Return the strategy with these values of its knobs, the others at their defaults. Raises ValueError for an
    unknown name or an invalid value.

    `clip_norm`: the total norm to which the gradients of every step are clipped. `seed`: of the parts' random draws.
    `precision`: of the forward passes.

    >>> from recmodels.data import load_dataset
    >>> from recmodels.models import MODELS
    >>> strategy = make_strategy("sam+mg", MODELS["BPR"](load_dataset("demo")), {"rho": 0.1, "interval": 5})
    >>> strategy.oracle
    SAM(rho=0.1, every=1, scope='all', exclude='', rho_mode='absolute')
    >>> make_strategy("sam", strategy.model, {"rho": -1})
    Traceback (most recent call last):
    ValueError: rho >= 0 must hold, but got rho=-1
    """
    if unknown := values.keys() - set(knobs(name)):
        raise ValueError(f"{name} has no {min(unknown)}; it has {', '.join(knobs(name)) or 'no knobs'}")
    layers: dict[str, Any] = {
        part.layer: part(**{knob: values[knob] for knob in keywords(part) if knob in values})
        for part in parts_of(name).values()
    }
    return Strategy(model, **layers, clip_norm=clip_norm, seed=seed, precision=precision)
