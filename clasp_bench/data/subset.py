"""Parts of a training set for learning from few labels, drawn by seed: a share of it, and so many samples of each class."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from clasp_bench.errors import ConfigError


def draw(subset: Mapping | None, units: np.ndarray, classes: Sequence[np.ndarray]) -> np.ndarray:
    """Which samples a subset keeps.

    Args:
        subset: ``dict(share=0.1, shots=5, seed=0)`` keeps a tenth of the units, and of their samples, in random order, those one of whose classes
            has fewer than 5 so far. A share lies in (0, 1] and is 1 where not given; shots are from 1, or None for all. With the same seed a
            smaller share is a part of a larger one. None keeps everything.
        units: (N,) int, what is kept or left out as a whole: the person or picture of each sample.
        classes: N arrays of int, the numbers of the classes of each sample.
    Returns:
        (n,) int64, indices in increasing order.
    Raises:
        ConfigError: `subset` asks for something else.
    """
    if subset is None:
        return np.arange(len(units))
    share, shots, rng = _checked(**subset)
    known = rng.permutation(np.unique(units))
    kept = np.flatnonzero(np.isin(units, known[: max(1, round(share * len(known)))]))
    if shots is None:
        return kept
    chosen, count = [], Counter()
    for index in rng.permutation(kept).tolist():
        mine = classes[index].tolist()
        if any(count[one] < shots for one in mine):
            chosen.append(index)
            count.update(mine)
    return np.sort(np.array(chosen, dtype=np.int64))


def _checked(
    share: float = 1.0, shots: int | None = None, seed: int = 0, **unknown
) -> tuple[float, int | None, np.random.Generator]:
    drawable = isinstance(share, int | float) and 0 < share <= 1 and isinstance(seed, int) and seed >= 0
    if unknown or not drawable or not (shots is None or (isinstance(shots, int) and shots >= 1)):
        asked = dict(share=share, shots=shots, seed=seed) | unknown
        raise ConfigError(
            f"subset: {', '.join(f'{key}={value}' for key, value in asked.items())}; "
            "give a share in (0, 1], shots from 1 or None, a seed from 0, and nothing else"
        )
    return share, shots, np.random.default_rng(seed)
