"""Memory that a step gives back."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from recmodels.training.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tables = [torch.zeros(2**18) for _ in range(40)]  # 40 MiB
    del tables
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
faults()
before = faults()
assert keep_freed_memory()
for _ in range(5):
    faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_step_touches_no_fresh_pages_once_freed_memory_is_kept() -> None:
    """40 MiB have 10,240 pages, which each step took anew."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=900)
    before, after = map(int, done.stdout.split())
    assert after < before / 4
