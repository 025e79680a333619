"""A lack of memory is told from other errors by what torch, CUDA and the machine really say."""

import numpy as np
import pytest
import torch

from tuning.execution.memory import MemoryLack, memory_lack

OF_CARD = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.06 GiB is free."
)


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (torch.OutOfMemoryError(OF_CARD), MemoryLack(gpu=True, amount="2.50 GiB")),
        (
            RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
            MemoryLack(True, None),
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            MemoryLack(True, None),
        ),
        (RuntimeError("CUDA error: CUSPARSE_STATUS_INSUFFICIENT_RESOURCES when calling x"), MemoryLack(True, None)),
        (MemoryError(), MemoryLack(False, None)),
        (RuntimeError("the loss became nan"), None),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), None),
        (ValueError("CUDA error: out of memory"), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_an_error_is_told_by_its_words(error: BaseException, lack: MemoryLack | None) -> None:
    assert memory_lack(error) == lack


@pytest.mark.parametrize("ask", [lambda n: torch.empty(n, dtype=torch.uint8), lambda n: np.empty(n, dtype=np.uint8)])
def test_more_than_the_machine_has_is_known(ask) -> None:
    """These errors are torch's and numpy's own."""
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask(10**17)
    lack = memory_lack(caught.value)
    assert lack is not None
    assert not lack.gpu
    assert lack.amount


def test_a_trial_s_reason_names_the_option_that_helps() -> None:
    on_gpu = MemoryLack(gpu=True, amount="2.50 GiB").reason
    assert on_gpu.startswith("out of memory of the GPU (2.50 GiB more did not fit); ")
    assert "--gpus-per-trial" in on_gpu
    assert "--max-concurrent" in MemoryLack(gpu=False, amount=None).reason
