"""Randomness that depends on what is drawn, never on who draws it or when."""

import zlib

import numpy as np


def stream(seed: int, what: str, *index: int) -> np.random.Generator:
    """A Philox stream of its own for every (seed, what, index).

    Two workers, or one worker in another order, draw the same numbers for the same thing.

    Args:
        seed: The universe's seed, any non-negative integer.
        what: Name of the thing drawn, for instance ``"person"``.
        index: Its number(s) within its kind.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(what.encode()), *index))
    return np.random.Generator(np.random.Philox(sequence))
