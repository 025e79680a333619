"""How well items tell those near to them from all others, without a matrix of items x items."""

from typing import Any

import torch
from torch import Tensor

from recmodels.ops.fast import fast
from recmodels.ops.softmax import rows_at_a_time
from recmodels.ops.top import top_columns

POWER = 5
"""One over the temperature of the discrimination, 0.2: its exponentials are a power of those without a temperature."""
TINY = 1e-9
"""Added within the logarithms."""


def _forward(ctx: Any, items: Tensor, shares: Tensor, k: int, *units: Tensor) -> Tensor:
    losses = units[0].new_zeros(len(units))
    gradients = [torch.zeros_like(unit) for unit in units]
    rows = rows_at_a_time(units[0])
    for at, share in zip(items.split(rows), shares.split(rows), strict=True):
        chosen = [unit.index_select(0, at) for unit in units]
        powers = [(block @ unit.t()).exp_() for block, unit in zip(chosen, units, strict=True)]
        inverses = [power.sum(dim=1, keepdim=True).reciprocal_() for power in powers]
        total = torch.zeros_like(powers[0])
        for power, inverse in zip(powers, inverses, strict=True):
            total.addcmul_(power, inverse)
        for view, (power, inverse) in enumerate(zip(powers, inverses, strict=True)):
            both = top_columns(torch.addcmul(total, power, inverse), k)
            at_both = power.gather(1, both)
            single = top_columns(power.scatter_(1, both, 0.0), k)
            power.scatter_(1, both, at_both)
            sharp = power * power
            sharp.mul_(sharp).mul_(power)
            of_both, of_single = sharp.gather(1, both), sharp.gather(1, single)
            sum_both, sum_single = of_both.sum(1), of_single.sum(1)
            everything = sharp.sum(dim=1)
            others = everything - sum_both
            p, q = sum_both / everything, sum_single / others
            losses[view] -= ((p + TINY).log() + (q + TINY).log()) @ share
            # The gradient of a logit is `sharp` times this, and times a factor at the chosen ones.
            p, q = p / (p + TINY), q / (q + TINY)
            scale = p / everything + q / others
            sharp.scatter_(1, both, of_both * ((p / everything - p / sum_both) / scale).unsqueeze(1))
            sharp.scatter_(1, single, of_single * (1 - q / sum_single / scale).unsqueeze(1))
            scale = (POWER * scale * share).unsqueeze(1)
            gradients[view].addmm_(sharp.t(), chosen[view] * scale)
            gradients[view].index_add_(0, at, (sharp @ units[view]).mul_(scale))
    ctx.save_for_backward(*gradients)
    return losses


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return None, None, None, *(each * scale for each, scale in zip(ctx.saved_tensors, grad, strict=True))


@fast(_forward, _backward)
def neighbour_losses(items: Tensor, shares: Tensor, k: int, *units: Tensor) -> Tensor:
    """Return for each of M views of the items how badly `items` (n,) tell their neighbours from the other items, (M,).

    From the unit rows of each view, (I, D) each. In view a the neighbours of an item are the k items with the largest
    sum of softmaxes of cosines over all views, a counted twice, against all others; and then the k with the largest
    cosine in a alone, against the rest without the first. Both are cross entropies at the temperature 0.2, added up
    over `items` with their `shares` (n,). Who is a neighbour has no gradient. Xv et al., DA-MRS, KDD 2024.
    """
    cosines = [unit.index_select(0, items) @ unit.t() for unit in units]
    softmaxes = [torch.softmax(each, dim=1) for each in cosines]
    total = torch.stack(softmaxes).sum(0)
    losses = []
    for cosine, softmax in zip(cosines, softmaxes, strict=True):
        both = (total + softmax).topk(k).indices
        is_both = torch.zeros_like(cosine, dtype=torch.bool).scatter(1, both, True)
        single = softmax.masked_fill(is_both, 0).topk(k).indices
        sharp = (POWER * cosine).exp()
        sum_both, everything = sharp.gather(1, both).sum(1), sharp.sum(1)
        p, q = sum_both / everything, sharp.gather(1, single).sum(1) / (everything - sum_both)
        losses.append(-((p + TINY).log() + (q + TINY).log()) @ shares)
    return torch.stack(losses)
