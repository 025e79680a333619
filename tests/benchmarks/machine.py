"""How fast a machine is at the three things that training is made of, and how much memory a process took."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recmodels.data.dataset import RecDataset

COPIED = 256 * 2**20  # bytes


@dataclass(frozen=True)
class Calibration:
    """`csr_ms`: CSR product of the normalised adjacency, int64 indices, with 64 columns. `matrix_ms`: 2048 x 64 by
    64 x 16,018. `copy_gbs`: copying 256 MiB, in 1e9 bytes read plus written per second.
    """

    csr_ms: float
    matrix_ms: float
    copy_gbs: float


def calibrate(data: RecDataset, device: torch.device, threads: int) -> Calibration:
    """Medians of repeats. The first figure depends on the data set, the others on the machine alone."""
    torch.set_num_threads(threads)
    graph = _adjacency(data).to(device)
    dense = torch.randn(graph.shape[1], 64, device=device)
    left, right = torch.randn(2048, 64, device=device), torch.randn(64, 16_018, device=device)
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    return Calibration(
        1e3 * _seconds(lambda: graph @ dense, device, 25),
        1e3 * _seconds(lambda: left @ right, device, 5),
        2 * COPIED / 1e9 / _seconds(lambda: target.copy_(source), device, 9),
    )


def _adjacency(data: RecDataset) -> Tensor:
    """D^-1/2 A D^-1/2 of the training graph, (U + I, U + I). Not the models' own: a yardstick must not change."""
    pairs = (np.ones(len(data.train)), data.train.items, data.train.indptr)
    edges = sparse.csr_array(pairs, shape=(data.n_users, data.n_items))
    graph = sparse.block_array([[None, edges], [edges.T, None]], format="csr")
    scale = sparse.diags_array(np.maximum(graph.sum(axis=1), 1) ** -0.5)
    graph = (scale @ graph @ scale).tocsr()
    indptr, indices = (torch.from_numpy(each.astype(np.int64)) for each in (graph.indptr, graph.indices))
    values = torch.from_numpy(graph.data.astype(np.float32))
    return torch.sparse_csr_tensor(indptr, indices, values, size=graph.shape, check_invariants=False)


def _seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first one warms up


def synchronise(device: torch.device) -> None:
    """Wait for what the device has been given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory() -> int:
    """The most memory that this process has held so far, its resident set, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # Not Linux's ru_maxrss, which a process inherits from the one that started it.
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
