"""Knobs that no strategy may have: the constructor refuses them with one line that names the knob, rule and value."""

from typing import Any

import pytest

from recmodels.training import make_strategy
from recmodels.training.strategies import parts_of
from tests.recmodels.training.strategies.toys import Quadratic

NAN, INF = float("nan"), float("inf")
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("sam", {"rho": -0.1}, "rho >= 0 must hold, but got rho=-0.1"),
    ("sam", {"rho": NAN}, "rho must be a finite number, but got nan"),
    ("sam", {"rho": INF}, "rho must be a finite number, but got inf"),
    ("sam", {"rho": "0.1"}, "rho must be a finite number, but got '0.1'"),
    ("sam", {"rho": True}, "rho must be a finite number, but got True"),
    ("sam", {"rho_mode": "share"}, "rho_mode must be one of absolute, relative, but got 'share'"),
    ("sam", {"exclude": 3}, "exclude must be a text, but got 3"),
    ("asam", {"every": 0}, "every >= 1 must hold, but got every=0"),
    ("asam", {"every": 2.0}, "every must be a whole number, but got 2.0"),
    ("asam", {"xi": -0.1}, "xi >= 0 must hold, but got xi=-0.1"),
    ("asam", {"scope": "tables"}, "scope must be one of all, embeddings, dense, but got 'tables'"),
    ("gsam", {"decompose": -1.0}, "decompose >= 0 must hold, but got decompose=-1.0"),
    ("gnp", {"c": 1.5}, "0 <= c <= 1 must hold, but got c=1.5"),
    ("gnp", {"r": -1.0}, "r >= 0 must hold, but got r=-1.0"),
    ("ssam_f", {"sparsity": 1.5}, "0 <= sparsity <= 1 must hold, but got sparsity=1.5"),
    ("ssam_f", {"sparsity": 2}, "0 <= sparsity <= 1 must hold, but got sparsity=2"),
    ("ssam_f", {"n_fisher": 0}, "n_fisher >= 1 must hold, but got n_fisher=0"),
    ("ssam_f", {"fisher_batch": -1}, "fisher_batch >= 0 must hold, but got fisher_batch=-1"),
    ("ssam_f", {"renorm": 1}, "renorm must be true or false, but got 1"),
    ("ssam_d", {"mask_every": 0}, "mask_every >= 1 must hold, but got mask_every=0"),
    ("ssam_d", {"d0": 1.1}, "0 <= d0 <= 1 must hold, but got d0=1.1"),
    ("ssam_d", {"horizon": 0}, "horizon >= 1 must hold, but got horizon=0"),
    ("ssam_d", {"grow": "up"}, "grow must be one of gradient, weight, random, but got 'up'"),
    ("bsam", {"rho": -1}, "rho >= 0 must hold, but got rho=-1"),
    ("bsam", {"bsam_scope": "rows"}, "bsam_scope must be one of batch, all, but got 'rows'"),
    ("bsam_plus", {"lam": -0.5}, "0 <= lam <= 1 must hold, but got lam=-0.5"),
    ("bsam_plus", {"lam": 3}, "0 <= lam <= 1 must hold, but got lam=3"),
    ("bsam_plus", {"mix": "mean"}, "mix must be one of convex, sum, but got 'mean'"),
    ("mg", {"alpha": 1.0, "beta": 1.0}, "0 <= beta < alpha must hold, but got alpha=1.0, beta=1.0"),
    ("mg", {"alpha": 1.0, "beta": -0.1}, "0 <= beta < alpha must hold, but got alpha=1.0, beta=-0.1"),
    ("mg", {"alpha": INF}, "alpha must be a finite number, but got inf"),
    ("mg", {"interval": 0}, "interval >= 1 must hold, but got interval=0"),
    ("mg", {"compose": "twostep"}, "compose must be one of two_step, combined, but got 'twostep'"),
    ("mg", {"phase": "local"}, "phase must be one of epoch_first, global, but got 'local'"),
    ("mg", {"sync_rng": "no"}, "sync_rng must be true or false, but got 'no'"),
    ("plain_lr", {"lr_scale": 0.0}, "lr_scale > 0 must hold, but got lr_scale=0.0"),
    ("plain_lr", {"lr_scale": NAN}, "lr_scale must be a finite number, but got nan"),
    ("plain_repeat", {"interval": 0}, "interval >= 1 must hold, but got interval=0"),
    ("ema", {"decay": 1.0}, "0 <= decay < 1 must hold, but got decay=1.0"),
    ("ema", {"decay": -0.1}, "0 <= decay < 1 must hold, but got decay=-0.1"),
    ("swa", {"swa_start": 0}, "swa_start >= 1 must hold, but got swa_start=0"),
    ("amr", {"adv_eps": -0.1}, "adv_eps >= 0 must hold, but got adv_eps=-0.1"),
    ("amr", {"adv_weight": NAN}, "adv_weight must be a finite number, but got nan"),
    ("amr", {"adv_warmup": -1}, "adv_warmup >= 0 must hold, but got adv_warmup=-1"),
    ("amr", {"adv_warmup": 1.5}, "adv_warmup must be a whole number, but got 1.5"),
    ("amr", {"adv_warmup": "soon"}, "adv_warmup must be a whole number or converged, but got 'soon'"),
    ("amr", {"adv_warmup": None}, "adv_warmup must be a whole number or converged, but got None"),
    ("amr", {"adv_type": "fgsm"}, "adv_type must be one of grad, sign, rand, but got 'fgsm'"),
    ("amr", {"adv_eps_mode": "share"}, "adv_eps_mode must be one of absolute, relative, but got 'share'"),
]


@pytest.mark.parametrize(("name", "knobs", "message"), REFUSED)
def test_the_constructor_refuses_knobs_outside_the_method(name: str, knobs: dict[str, Any], message: str) -> None:
    """So does `make_strategy`, before it looks at the model."""
    (part,) = parts_of(name).values()
    for make in (lambda: part(**knobs), lambda: make_strategy(name, Quadratic(), knobs)):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
            make()
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("plain", {"rho": 0.1}, "plain has no rho; it has no knobs"),
        ("ema", {"rho": 0.1, "decay": 0.5}, "ema has no rho; it has decay"),
        ("bsam_plus+mg", {"mix": "mean"}, "mix must be one of convex, sum, but got 'mean'"),
    ],
)
def test_a_composition_has_the_knobs_of_its_parts_alone(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_strategy(name, Quadratic(), values)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, NAN, "1"])
def test_gradients_are_clipped_to_a_length(clip_norm: Any) -> None:
    with pytest.raises(ValueError, match=r"^clip_norm (> 0 must hold|must be a finite number)"):
        make_strategy("plain", Quadratic(), clip_norm=clip_norm)


def test_a_part_shows_its_knobs() -> None:
    (part,) = parts_of("gnp").values()
    assert repr(part(r=0.2)) == "GradientNormPenalty(every=1, scope='all', exclude='', r=0.2, c=0.8)"
