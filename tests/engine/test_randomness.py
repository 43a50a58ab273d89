"""What a step and a sample draw: something else in each, the same again in a run that was resumed."""

import itertools
import random
from types import SimpleNamespace

import numpy as np
import torch

from clasp_bench.data.openmmlab.layout import SeededSampler
from clasp_bench.engine.hooks import StepSeedHook


def drawn(seed: int, step: int) -> tuple[float, float, float]:
    StepSeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=step), 0)
    return torch.rand(1).item(), float(np.random.rand()), random.random()


def test_every_seed_and_every_step_draw_something_else_and_the_same_again():
    cases = list(itertools.product((0, 1), range(3)))
    for generator in zip(*(drawn(*case) for case in cases), strict=True):
        assert len(set(generator)) == len(cases)
    assert drawn(1, 2) == drawn(1, 2)


def test_every_seed_and_every_place_of_a_run_seed_a_sample_otherwise():
    taken = [entropy for seed in (5, 6) for _, entropy in itertools.islice(SeededSampler(range(5), seed=seed), 12)]
    assert len(set(taken)) == 24, "past the end of the first epoch too"
