"""The training strategies by name: a part, or parts of different layers joined by `+`, as in `amr+mg` or `sam+mg`."""

from collections.abc import Mapping
from typing import Any

from recmodels.models.base import Recommender
from recmodels.signatures import keywords
from recmodels.training.strategies.amr import AMR
from recmodels.training.strategies.averaging import EMA, SWA
from recmodels.training.strategies.base import Part
from recmodels.training.strategies.bsam import BSAM, BSAMPlus
from recmodels.training.strategies.controls import Repeated, ScaledRate
from recmodels.training.strategies.mg import MirrorGradient
from recmodels.training.strategies.sam import ASAM, GSAM, SAM, GradientNormPenalty
from recmodels.training.strategies.ssam import DynamicSAM, FisherSAM
from recmodels.training.strategies.strategy import Strategy

LAYERS: dict[str, dict[str, type[Part]]] = {
    "transform": {"amr": AMR},
    "oracle": {
        "sam": SAM,
        "asam": ASAM,
        "gsam": GSAM,
        "gnp": GradientNormPenalty,
        "ssam_f": FisherSAM,
        "ssam_d": DynamicSAM,
        "bsam": BSAM,
        "bsam_plus": BSAMPlus,
    },
    "rule": {"mg": MirrorGradient, "plain_lr": ScaledRate, "plain_repeat": Repeated},
    "averaging": {"ema": EMA, "swa": SWA},
}
"""Layer -> its parts by name. A strategy has at most one part of each layer; `plain` has none."""
ALIASES = {"sam_mg": ("sam", "mg")}
"""Compositions with their own name. `sam_mg`: the mirror part of Srivastava, Wu, Sharpness-Aware Mirror Gradient,
ICCV 2025 Workshops, reconstructed from its abstract."""
RECONSTRUCTED = ("sam_mg",)
"""Compositions that are reconstructions, though their parts are not."""
CONTROLS = ("plain_lr", "plain_repeat")
"""Controls that a gain over plain training has to be compared with as well."""
STRATEGIES = ("plain", *(name for parts in LAYERS.values() for name in parts), *ALIASES)
"""All names that a composition may be made of."""


def canonical(name: str) -> str:
    """The name with its parts in the order of the layers. ValueError if it is no strategy."""
    return name if name in ALIASES else "+".join(part_names(name)) or "plain"


def part_names(name: str) -> list[str]:
    """The names of a strategy's parts, in the order of the layers. ValueError if it is no strategy."""
    wanted = [part for piece in name.split("+") for part in ALIASES.get(piece, (piece,))]
    for part in wanted:
        if part not in STRATEGIES:
            raise ValueError(f"there is no strategy {part!r}; there are {', '.join(STRATEGIES)}")
    for layer, parts in LAYERS.items():
        same_layer = [part for part in wanted if part in parts]
        if len(same_layer) > 1:
            raise ValueError(f"{name}: {' and '.join(same_layer)} are each a whole {layer}, expected at most one")
    return [part for parts in LAYERS.values() for part in parts if part in wanted]


def parts_of(name: str) -> dict[str, type[Part]]:
    """Layer -> the class of the strategy's part in that layer, in their order. ValueError if it is no strategy."""
    names = part_names(name)
    return {layer: parts[part] for layer, parts in LAYERS.items() for part in parts if part in names}


def is_reconstruction(name: str) -> bool:
    """True for a method that was rebuilt from less than its full text: its results are not those of its paper."""
    names = {*part_names(name)}
    composed = any(names.issuperset(ALIASES[each]) for each in RECONSTRUCTED)
    return composed or any(part.reconstruction for part in parts_of(name).values())


def knobs(name: str) -> list[str]:
    """The names of a strategy's hyper-parameters. ValueError if it is no strategy."""
    return [knob for part in parts_of(name).values() for knob in keywords(part)]


def make_strategy(
    name: str,
    model: Recommender,
    values: Mapping[str, Any] | None = None,
    *,
    clip_norm: float | None = None,
    seed: int = 0,
) -> Strategy:
    """The strategy with these values of its knobs, the others at their defaults. ValueError for an unknown name or an
    invalid value.

    `clip_norm`: the total norm to which the gradients of every step are clipped. `seed`: of the parts' random draws.

    >>> from recmodels.data import load_dataset
    >>> from recmodels.models import MODELS
    >>> strategy = make_strategy("sam+mg", MODELS["BPR"](load_dataset("demo")), {"rho": 0.1, "interval": 5})
    >>> strategy.oracle
    SAM(rho=0.1, every=1, scope='all', exclude='', rho_mode='absolute')
    >>> make_strategy("sam", strategy.model, {"rho": -1})
    Traceback (most recent call last):
    ValueError: rho >= 0 must hold, but got rho=-1
    """
    values = values or {}
    if unknown := values.keys() - set(knobs(name)):
        raise ValueError(f"{name} has no {min(unknown)}; it has {', '.join(knobs(name)) or 'no knobs'}")
    layers: dict[str, Any] = {
        layer: part(**{knob: values[knob] for knob in keywords(part) if knob in values})
        for layer, part in parts_of(name).items()
    }
    return Strategy(model, **layers, clip_norm=clip_norm, seed=seed)
