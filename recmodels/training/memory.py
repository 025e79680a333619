"""What the C library does with memory that tensors give back."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # the numbers of malloc.h
_KEPT = 2**30
_STEP = 2**26
_OWN_MAPPING = (2**28, 2**25)  # older versions of glibc refuse more than the second


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of freed memory for its next tensors; return whether it could be set.

    By default glibc gives the memory of a step's large tensors back to the system and asks for it again in the next
    step, whose first touch of each page then costs several times as much as the arithmetic: up to a third of a step.
    Blocks of 256 MiB and more still go back at once. The peak stays what it is. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or not any(mallopt(_MMAP_THRESHOLD, size) for size in _OWN_MAPPING):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_TOP_PAD, _STEP))
