"""Samplers whose index sequence is a pure function of seed and position, so that a resumed run sees what it would have seen."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from clasp_bench.errors import ConfigError, DataError
from clasp_bench.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class IdentitySampler(Sampler):
    """Batches of P people with K photos each, without end ("PK sampling").

    Source: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017, section 2. As in TransReID, a
    person's photos are dealt in groups of K, and an epoch ends when fewer than P people have groups left. Changed: the last group
    of a person is filled up by drawing again from all of that person's photos, so that one may stand in it twice, where TransReID
    leaves an incomplete one out. With several processes, batches are dealt to them in turn.

    Args:
        dataset: Has ``labels``, (N,) int, the person of each sample.
        people: P, people in a batch.
        photos: K, photos of each; the loader's batch size is ``people * photos``.
        seed: The same on all processes; drawn and shared where not given.
    Raises:
        ConfigError: a batch would be empty.
        DataError: there are fewer people than a batch takes.
    """

    def __init__(self, dataset: Sized, people: int, photos: int, seed: int | None = None):
        if not (isinstance(people, int) and isinstance(photos, int) and min(people, photos) >= 1):
            raise ConfigError(f"IdentitySampler: people={people}, photos={photos}; give whole numbers from 1")
        self.people, self.photos = people, photos
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        labels = np.asarray(dataset.labels)
        order = np.argsort(labels, kind="stable")
        self._photos_of = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        self._size = len(labels)
        self._skipped = 0
        if len(self._photos_of) < people:
            raise DataError(
                f"{getattr(dataset, 'root', 'the data set')}: has {len(self._photos_of)} people to train on, but a batch "
                f"takes {people}; lower `people` of the IdentitySampler"
            )

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        skip = self._skipped
        for position, batch in enumerate(self._batches()):
            if position % self.world_size != self.rank:
                continue
            if skip >= len(batch):
                skip -= len(batch)
                continue
            yield from batch[skip:]
            skip = 0

    def skip(self, num_samples: int) -> None:
        """Begin after the first `num_samples` indices of this process: MMEngine calls it when a run is resumed."""
        self._skipped = num_samples

    def _batches(self) -> Iterator[list[int]]:
        epoch = 0
        while True:
            yield from self._epoch(np.random.default_rng([self.seed, epoch]))
            epoch += 1

    def _epoch(self, rng: np.random.Generator) -> Iterator[list[int]]:
        groups = [self._deal(rng.permutation(photos), rng) for photos in self._photos_of]
        left = np.array([len(group) for group in groups])
        while (left > 0).sum() >= self.people:
            chosen = rng.choice(np.flatnonzero(left), self.people, replace=False)
            left[chosen] -= 1
            yield [int(index) for person in chosen for index in groups[person][left[person]]]

    def _deal(self, photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Groups of K from the shuffled photos of one person, (groups, K)."""
        short = -len(photos) % self.photos
        return np.concatenate([photos, rng.choice(photos, short)]).reshape(-1, self.photos)
