"""Unlabelled photos for pre-training, with the teacher's labels where a store is given."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from clasp_bench.data.images import list_images, names_digest, read_resized
from clasp_bench.errors import DataError, UnreadableImage
from clasp_bench.registry import DATASETS

TOLERATED_UNREADABLE = 0.01


@DATASETS.register_module()
class Photos(Dataset):
    """A folder of photos, decoded onto a canvas of one size; whole batches are read at once.

    Item i of the data set is name i of `list_images(root)`. An unreadable photo is left out of its batch and reported once; when more than 1 % of
    the photos are unreadable, reading stops.

    Args:
        root: Folder with the photos, at any depth.
        size: (height, width) of the canvas, in pixels; crops are cut from it later, in batches.
        labels: Label store made by `clasp-bench label` for this very folder, or None.

    Raises:
        DataError: the folder is missing or holds no image, or too many photos are unreadable.
        LabelMismatch: `labels` was made for other images.
    """

    def __init__(self, root: str | Path, size: tuple[int, int], labels: str | Path | None = None):
        self.root, self.size = Path(root), tuple(size)
        self.names = list_images(root)
        self.digest = names_digest(self.names)
        self.unreadable: set[int] = set()
        self.labels = None
        if labels is not None:
            from clasp_bench.teacher import LabelStore

            self.labels = LabelStore.open(labels)
            self.labels.check(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """The batch of the single photo `index`."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Read a batch.

        Returns:
            ``inputs`` (B, 3, H, W) uint8 RGB and, with labels, ``parts`` (B, h, w) int64, ``part_confidence`` (B, h, w), ``attributes`` (B, A),
            ``attribute_confidence`` (B, G), both in [0, 1] (see `LabelRows`). B is smaller than asked for by the unreadable photos.
        """
        pixels, kept = [], []
        for index in indices:
            try:
                pixels.append(read_resized(self.root / self.names[index], self.size))
                kept.append(index)
            except UnreadableImage as error:
                self._quarantine(index, error)
        if not kept:
            raise DataError(
                f"{self.root}: none of the {len(indices)} photos of a batch can be decoded; check the folder"
            )
        batch = {"inputs": torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)}
        if self.labels is not None:
            batch |= self._labels_of(kept)
        return batch

    def _labels_of(self, indices: Sequence[int]) -> dict[str, Tensor]:
        rows = self.labels.take(indices)
        valid = rows.valid[:, None]
        return {
            "parts": torch.from_numpy(rows.parts.astype(np.int64)),
            "part_confidence": torch.from_numpy(rows.part_confidence * valid[..., None]),
            "attributes": torch.from_numpy(np.ascontiguousarray(rows.attributes)),
            "attribute_confidence": torch.from_numpy(rows.attribute_confidence * valid),
        }

    def _quarantine(self, index: int, error: UnreadableImage) -> None:
        if index in self.unreadable:
            return
        self.unreadable.add(index)
        print_log(f"left out: {error}", logger="current", level=logging.WARNING)
        if len(self.unreadable) > max(1, TOLERATED_UNREADABLE * len(self)):
            raise DataError(
                f"{self.root}: {len(self.unreadable)} of {len(self):,} photos cannot be decoded, the last is {self.names[index]}; mend the folder"
            )


def whole_batch(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Collate function for data sets that read whole batches."""
    return batch
