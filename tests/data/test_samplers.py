from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from clasp_bench.data.samplers import IdentitySampler
from clasp_bench.errors import ConfigError, DataError


class People(SimpleNamespace):
    def __len__(self):
        return len(self.labels)


def people(*photos):
    """A data set with `photos[i]` photos of person i, shuffled."""
    labels = np.repeat(np.arange(len(photos)), photos)
    return People(labels=np.random.default_rng(1).permutation(labels))


def test_every_batch_has_p_people_with_k_photos():
    dataset = people(2, 9, 4, 5, 13, 1, 8)
    stream = iter(IdentitySampler(dataset, people=3, photos=4, seed=0))
    for _ in range(50):
        labels = dataset.labels[list(islice(stream, 12))].reshape(3, 4)
        assert (labels == labels[:, :1]).all() and len(set(labels[:, 0])) == 3


def test_photos_of_a_person_with_enough_do_not_repeat_in_a_batch():
    dataset = people(8, 8, 8, 8)
    stream = iter(IdentitySampler(dataset, people=2, photos=4, seed=0))
    assert all(len(set(islice(stream, 8))) == 8 for _ in range(40))


def test_all_photos_are_seen():
    dataset = people(4, 9, 4, 5, 13, 4, 8)
    assert set(islice(IdentitySampler(dataset, people=3, photos=4, seed=3), 2000)) == set(range(len(dataset)))


@pytest.mark.parametrize("skipped", [0, 12, 13, 240, 1000])
def test_skip_goes_on_where_the_interrupted_run_was(skipped):
    dataset = people(2, 9, 4, 5, 13, 1, 8)
    whole = list(islice(IdentitySampler(dataset, people=3, photos=4, seed=5), skipped + 100))
    resumed = IdentitySampler(dataset, people=3, photos=4, seed=5)
    resumed.skip(skipped)
    assert list(islice(resumed, 100)) == whole[skipped:]


def test_seed_decides_the_order():
    dataset = people(6, 6, 6, 6)
    first, again, other = (list(islice(IdentitySampler(dataset, 2, 2, seed=seed), 40)) for seed in (1, 1, 2))
    assert first == again != other


def test_processes_take_batches_in_turn(monkeypatch):
    dataset = people(6, 6, 6, 6, 6)
    whole = list(islice(IdentitySampler(dataset, 2, 2, seed=1), 40))
    ranks = []
    for rank in (0, 1):
        monkeypatch.setattr("clasp_bench.data.samplers.get_dist_info", lambda rank=rank: (rank, 2))
        ranks.append(list(islice(IdentitySampler(dataset, 2, 2, seed=1), 20)))
    in_turn = np.stack([np.reshape(dealt, (5, 4)) for dealt in ranks], axis=1)  # (batch, process, sample)
    assert in_turn.ravel().tolist() == whole


def test_too_few_people_is_said():
    with pytest.raises(DataError, match="has 2 people to train on, but a batch takes 3"):
        IdentitySampler(people(4, 4), people=3, photos=2, seed=0)


@pytest.mark.parametrize(("taken", "photos"), [(0, 4), (2, 0), (2, -1), ("two", 4)])
def test_a_batch_of_nobody_is_refused(taken, photos):
    with pytest.raises(ConfigError, match=f"IdentitySampler: people={taken}, photos={photos}; give whole numbers from"):
        IdentitySampler(people(4, 4), people=taken, photos=photos, seed=0)
