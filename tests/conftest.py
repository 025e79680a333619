"""One thread for all tests: their tensors are tiny, and on busy cores torch's threads wait for each other."""

import torch

torch.set_num_threads(1)
