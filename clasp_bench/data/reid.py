"""What data sets for re-identification share: people with numbers, cameras, queries and a gallery."""

from collections.abc import Mapping

import numpy as np

from clasp_bench.data.labelled import LabelledCrops
from clasp_bench.data.layouts import strictly
from clasp_bench.data.layouts.reid import ReIDLayout, Sightings
from clasp_bench.data.subset import draw

HELD_OUT_EVERY = 5


class ReIDCrops(LabelledCrops):
    """Crops for re-identification.

    A sample has ``inputs`` (3, H, W) uint8, ``label`` (0 to people - 1 in the order of their ids; meaningful in
    training splits), ``person_id``, ``camera_id`` and ``is_query``.

    Args:
        layout: The data set on disk.
        split: ``train`` (with the photos its authors set aside as val, if they did) or ``test`` (queries, then
            gallery); ``fit`` and ``held_out`` are train cut in two by person.
        size: Height and width in pixels.
        keep_decoded: See `LabelledCrops`.
        subset: Of the photos to train on; see `subset.draw`. People are its units and its classes.
    Raises:
        DataError: a folder, list or name is wrong, or people of train are also in test.
    """

    def __init__(
        self,
        layout: ReIDLayout,
        split: str,
        size: tuple[int, int],
        keep_decoded: bool = False,
        subset: Mapping | None = None,
    ):
        parts = strictly(layout.sightings)
        train = parts["train"] + parts["val"] if "val" in parts else parts["train"]
        fit, held_query, held_gallery = hold_out(train)
        nobody = parts["query"].take(np.array([], dtype=np.int64))
        query, rest = {
            "train": (nobody, train),
            "test": (parts["query"], parts["gallery"]),
            "fit": (nobody, fit),
            "held_out": (held_query, held_gallery),
        }[split]
        sightings = query + rest
        sightings = sightings.take(draw(subset, sightings.person_ids, sightings.person_ids[:, None]))
        super().__init__(layout, "", sightings.names, size, keep_decoded)
        self.split = split
        self.person_ids, self.camera_ids = sightings.person_ids, sightings.camera_ids
        self.people, self.labels = np.unique(self.person_ids, return_inverse=True)
        self.num_query = len(query)

    def target(self, index: int) -> dict:
        return {
            "label": int(self.labels[index]),
            "person_id": int(self.person_ids[index]),
            "camera_id": int(self.camera_ids[index]),
            "is_query": index < self.num_query,
        }


def hold_out(train: Sightings) -> tuple[Sightings, Sightings, Sightings]:
    """Set every fifth person of train aside, to choose settings on: the test split is never looked at for that.

    Returns:
        What is left to train on; as queries the first sighting of each held-out person by each camera; as gallery all
        their sightings (a query's own photo is of its own camera, and so never ranked).
    """
    people = np.unique(train.person_ids)
    held = np.isin(train.person_ids, people[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    aside = train.take(held)
    _, first = np.unique(np.stack([aside.person_ids, aside.camera_ids]), axis=1, return_index=True)
    return train.take(~held), aside.take(np.sort(first)), aside
