"""Unlabelled photos for pre-training, with the teacher's labels where a store is given."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from clasp_bench.data.images import height_and_width
from clasp_bench.data.sources import open_photos
from clasp_bench.errors import UnreadableImage
from clasp_bench.registry import DATASETS

UNREADABLE = "unreadable"  # key of a batch: in whose place another photo stands, and why


@DATASETS.register_module()
class Photos(Dataset):
    """Photos decoded onto a canvas of one size; whole batches are read at once.

    Item i of the data set is name i of the source. In the place of an unreadable photo a readable one of its batch stands once more, so that all
    processes have batches of one size; the batch says so, and `QuarantineHook` reports it and ends a run that meets too many.

    Args:
        root: Folder, list, LMDB or tar shards; see `open_photos`.
        size: (height, width) of the canvas, in pixels; crops are cut from it later, in batches.
        labels: Label store made by `clasp-bench label` for these very photos, or None.

    Raises:
        DataError: there are no photos at `root`.
        LabelMismatch: `labels` was made for other images.
    """

    def __init__(self, root: str | Path, size: tuple[int, int], labels: str | Path | None = None):
        self.source, self.size = open_photos(root), height_and_width(size)
        self.labels = None
        if labels is not None:
            from clasp_bench.teacher import LabelStore

            self.labels = LabelStore.open(labels)
            self.labels.check(self.source)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def identity(self) -> dict[str, int | str]:
        """What a run on these photos cannot change and stay the same run: their number and digests."""
        return {"images": len(self), "digest": self.source.digest}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """The batch of the single photo `index`."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Read a batch.

        Returns:
            ``inputs`` (B, 3, H, W) uint8 RGB and, with labels, ``parts`` (B, h, w) int64, ``part_confidence`` (B, h, w), ``attributes`` (B, A),
            ``attribute_confidence`` (B, G), both in [0, 1] (see `LabelRows`). Where there are unreadable photos, ``unreadable`` lists them as
            (name, reason); B is 0 where no photo can be read.
        """
        pixels, kept, faults = np.empty((len(indices), *self.size, 3), np.uint8), [], []
        for index in indices:
            try:
                pixels[len(kept)] = self.source.resized(index, self.size)
                kept.append(index)
            except UnreadableImage as error:
                faults.append((self.source.names[index], str(error)))
        if faults:
            filled = np.arange(len(indices) if kept else 0) % max(1, len(kept))
            pixels, kept = pixels[filled], [kept[place] for place in filled]
        batch = {"inputs": torch.from_numpy(pixels).permute(0, 3, 1, 2), **self.known_of(kept)}
        return batch | ({UNREADABLE: faults} if faults else {})

    def known_of(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """What a batch holds of these photos beside their pixels."""
        if self.labels is None:
            return {}
        rows = self.labels.take(indices)
        valid = rows.valid[:, None]
        return {
            "parts": torch.from_numpy(rows.parts.astype(np.int64)),
            "part_confidence": torch.from_numpy(rows.part_confidence * valid[..., None]),
            "attributes": torch.from_numpy(np.ascontiguousarray(rows.attributes)),
            "attribute_confidence": torch.from_numpy(rows.attribute_confidence * valid),
        }


def whole_batch(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Collate function for data sets that read whole batches."""
    return batch
