"""Hops that are scaled by their cosine with the start."""

import torch
from scipy import sparse

from recmodels.ops import Sparse, sum_of_refined_hops


def hop(rows: list[list[float]]) -> Sparse:
    made = Sparse.from_scipy(sparse.csr_array(rows))
    return Sparse(*(csr._replace(values=csr.values.double()) for csr in made))


def test_each_hop_is_scaled_by_its_cosine_with_the_start() -> None:
    to_users = hop([[1.0, 0.5], [0.0, 2.0]])
    users, items = (torch.randn(2, 4, dtype=torch.float64) for _ in range(2))
    made = sum_of_refined_hops(to_users, to_users.t(), users, items, 2)
    dense = torch.tensor([[1.0, 0.5], [0.0, 2.0]], dtype=torch.float64)
    user, item, totals = users, items, [torch.zeros(2, 4, dtype=torch.float64)] * 2
    for _ in range(2):
        user, item = dense @ item, dense.t() @ user
        user = user * torch.cosine_similarity(user, users).unsqueeze(1)
        item = item * torch.cosine_similarity(item, items).unsqueeze(1)
        totals = [totals[0] + user, totals[1] + item]
    torch.testing.assert_close(list(made), totals)


def test_a_node_without_neighbours_stays_at_zero() -> None:
    to_users = hop([[1.0, 1.0], [0.0, 0.0]])
    users, items = (torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    user, item = sum_of_refined_hops(to_users, to_users.t(), users, items, 3)
    (user.sum() + item.sum()).backward()
    assert (user[1] == 0).all()
    assert (users.grad[1] == 0).all()
    assert users.grad.isfinite().all()
    assert items.grad.isfinite().all()


def test_no_hop_gives_zeros_and_no_gradient() -> None:
    to_users = hop([[1.0, 1.0], [0.0, 1.0]])
    users, items = (torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for nodes in ((None, None), (torch.tensor([1]), torch.tensor([0]))):
        user, item = sum_of_refined_hops(to_users, to_users.t(), users, items, 0, nodes)
        (user.sum() + item.sum() + users.sum()).backward()
        assert user.shape == item.shape == (2 if nodes[0] is None else 1, 4)
        assert not user.any()
        assert not item.any()
        assert (users.grad == 1).all()
        users.grad = None
