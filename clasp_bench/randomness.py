"""One way to seed every random generator."""

import random

import numpy as np
import torch


def seed_generators(*entropy: int) -> None:
    """Seed Python's, NumPy's and torch's generators (on the CPU and on CUDA) from whole numbers that are not negative."""
    seeds = np.random.SeedSequence(entropy).generate_state(3, np.uint32).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.default_generator.manual_seed(seeds[2])
    if torch.cuda.is_initialized():  # torch.manual_seed would queue a call with its stack at every step without CUDA
        torch.cuda.manual_seed(seeds[2])
