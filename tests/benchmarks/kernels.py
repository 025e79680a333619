"""Ways to multiply by a sparse matrix and to take a softmax over the edges of a node, in milliseconds.

    python -m tests.benchmarks.kernels --dataset tiktok --data-dir DIR

The product is that of the (U, I) block of the normalised adjacency with a dense (I, 64), forward only: both directions
are the same product. The softmax is over the items of each user, forward and backward. Medians of repeats that take the
ways in turn, so that all see the same load of the machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from scipy import sparse
from torch import Tensor
from torch_geometric.utils import softmax, spmm

from recmodels.data import RecDataset, load_dataset
from recmodels.graphs import UserItemEdges
from recmodels.graphs.edges import edges_of
from recmodels.ops import Csr

COLUMNS = 64


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.kernels", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--dataset", required=True, help="demo, synthetic:<name> or a folder in --data-dir")
    parser.add_argument("--data-dir", type=Path, help="the folder that holds the data set's")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (default: all cores)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = load_dataset(given.dataset, given.data_dir)
    print(f"{data}; {given.threads} threads\n")
    for title, ways in (("product", products(data)), ("edge softmax", softmaxes(data))):
        print(f"| {title} | ms |\n| --- | ---: |")
        for name, milliseconds in medians(ways, given.repeats).items():
            print(f"| {name} | {milliseconds:.2f} |")
        print()


def products(data: RecDataset) -> dict[str, Callable[[], object]]:
    edges = edges_of(data)
    ours = edges.matrix(edges.symmetric_weights())
    int32 = ours.rows.tensor(data.n_items)
    indptr, indices, values = ours.rows
    int64 = Csr(indptr.long(), indices.long(), values).tensor(data.n_items)
    block = sparse.csr_array((values.numpy(), edges.items, data.train.indptr), int32.shape)
    dense = torch.randn(data.n_items, COLUMNS)
    users, items = torch.from_numpy(edges.users), torch.from_numpy(edges.items)

    def gather_and_add() -> Tensor:
        messages = dense.index_select(0, items) * values.unsqueeze(1)
        return dense.new_zeros(data.n_users, COLUMNS).index_add_(0, users, messages)

    return {
        "embedding bag, int32 (ours)": lambda: ours.rows.times(dense),
        "torch CSR, int32": lambda: int32 @ dense,
        "torch CSR, int64": lambda: int64 @ dense,
        "PyG spmm on torch CSR": lambda: spmm(int64, dense, reduce="sum"),
        "scipy CSR": lambda: block @ dense.numpy(),
        "gather, then index_add": gather_and_add,
    }


def softmaxes(data: RecDataset) -> dict[str, Callable[[], object]]:
    edges = UserItemEdges(data)
    logits = torch.randn(len(edges.users), requires_grad=True)
    ptr, weights = edges.indptr.long(), torch.randn(len(logits))

    def passes(shares: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad((shares() * weights).sum(), logits)

    def segments() -> Tensor:
        exps = logits.exp()
        totals = torch.segment_reduce(exps, "sum", offsets=ptr, axis=0)
        return exps / totals.index_select(0, edges.users)

    return {
        "index_add (ours)": passes(lambda: edges.softmax_by_user(logits)),
        "segment_reduce": passes(segments),
        "PyG softmax": passes(lambda: softmax(logits, edges.users, num_nodes=data.n_users)),
    }


def medians(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 2):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            if repeat >= 2:  # the first are slow
                seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    main()
