"""What data sets for attribute recognition share: a row of zeros and ones for each photo."""

from collections.abc import Mapping

import numpy as np
import torch

from clasp_bench.data.labelled import LabelledCrops
from clasp_bench.data.layouts import strictly
from clasp_bench.data.layouts.attributes import SPLITS, AttributeLayout
from clasp_bench.data.subset import draw
from clasp_bench.errors import DataError


class AttributeCrops(LabelledCrops):
    """Crops for attribute recognition.

    A sample has ``inputs`` (3, H, W) uint8 and ``attributes`` (A,) float32, 0 or 1; ``metainfo["attributes"]`` names
    them.

    Args:
        layout: The data set on disk.
        split: ``train``, ``val``, ``test`` or ``trainval``.
        size: Height and width in pixels.
        keep_decoded: See `LabelledCrops`.
        subset: Of the photos to train on; see `subset.draw`. A photo is of the class of each attribute that it has.
    Raises:
        DataError: the annotation is wrong, has no such split, or names photos that are not there.
    """

    def __init__(
        self,
        layout: AttributeLayout,
        split: str,
        size: tuple[int, int],
        keep_decoded: bool = False,
        subset: Mapping | None = None,
    ):
        annotation = strictly(layout.read)
        if absent := [part for part in SPLITS if part not in annotation.names]:
            raise DataError(
                f'{layout.root}: {layout.title} has no split of its own in this form, {absent[0]} is unknown; write {{"train": [...], "val": [...], '
                '"test": [...]} with the names of photos as JSON into that folder, and name the file in the config (split_file)'
            )
        parts = ("train", "val") if split == "trainval" else (split,)
        names = [name for part in parts for name in annotation.names[part]]
        labels = np.concatenate([annotation.labels[part] for part in parts])
        kept = draw(subset, np.arange(len(names)), [np.flatnonzero(label) for label in labels])
        super().__init__(layout, layout.folder, [names[index] for index in kept], size, keep_decoded)
        missing = [name for name in self.names if not (self.root / name).is_file()]
        if missing:
            raise DataError(
                f"{self.root / missing[0]}: is named by the annotation of {layout.title} and is not there ({len(missing)} such photos of {split}); "
                f"run `clasp-bench data verify {layout.root}`"
            )
        self.split = split
        self.metainfo = {"attributes": annotation.attributes}
        self.labels = labels[kept]
        self._targets = torch.from_numpy(self.labels).float()

    def target(self, index: int) -> dict:
        return {"attributes": self._targets[index]}
