"""Out of memory: the errors that say so, and the lines that a person gets."""

import re
from dataclasses import dataclass

import torch

OF_GPU = re.compile(r"CUDA error: out of memory|CU(BLAS|SPARSE|SOLVER)_STATUS_(ALLOC_FAILED|INSUFFICIENT_RESOURCES)")
"""What CUDA and its libraries say where torch's own allocator was not asked; the error is a plain RuntimeError."""
OF_HOST = re.compile(r"DefaultCPUAllocator: (can't allocate|not enough) memory")
OF_CARD = "out of memory of the GPU"
AMOUNT = re.compile(r"(?:ried|nable) to allocate ([\d.]+ ?\w+)")


@dataclass(frozen=True)
class MemoryLack:
    """A lack of memory of the GPU or of the machine; `amount`: what did not fit any more, such as "2.00 GiB"."""

    gpu: bool
    amount: str | None

    def __str__(self) -> str:
        more = f" ({self.amount} more did not fit)" if self.amount else ""
        return f"{OF_CARD if self.gpu else 'out of memory of the machine'}{more}"

    @property
    def reason(self) -> str:
        """The line for a trial, with the options that leave it more."""
        way_out = "a larger --gpus-per-trial, or a smaller batch_size," if self.gpu else "a smaller --max-concurrent"
        return f"{self}; {way_out} leaves a trial more"


def memory_lack(error: BaseException) -> MemoryLack | None:
    """Return the lack of memory that an error comes from; None if it comes from something else."""
    text, is_runtime_error = " ".join(str(error).split()), isinstance(error, RuntimeError)
    gpu = isinstance(error, torch.OutOfMemoryError) or bool(is_runtime_error and OF_GPU.search(text))
    if not (gpu or isinstance(error, MemoryError) or (is_runtime_error and OF_HOST.search(text))):
        return None
    amount = AMOUNT.search(text)
    return MemoryLack(gpu, amount[1] if amount else None)


def is_of_gpu(reason: str) -> bool:
    """Return whether a trial's line, the `reason` of its lack of memory, is of a GPU's."""
    return reason.startswith(OF_CARD)


def cap_memory(share: float | None) -> None:
    """Let torch take at most this share of its GPU's memory in this process; None: all of it."""
    if share is not None:
        torch.cuda.set_per_process_memory_fraction(share)
