"""What every labelled data set of person crops shares: decoding to one size, and a digest of what it holds."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from clasp_bench.data.images import read_resized
from clasp_bench.files import digest


class LabelledCrops(Dataset):
    """Person crops with labels. A sample is a plain dict: ``inputs`` (3, H, W) uint8 and what `target` adds.

    Nothing here is random (augmentation is batched, on the device), so the order of reading and the number of workers
    cannot change a run. A crop that cannot be read ends the run: labels without their photo would change the figures.

    Args:
        root: Folder that `names` are relative to.
        names: One file name a sample.
        size: Height and width in pixels that crops are resized to.
        keep_decoded: Keep decoded crops in memory (3 * H * W bytes each). For sets that fit, loaded without workers.
    """

    def __init__(self, root: str | Path, names: Sequence[str], size: tuple[int, int], keep_decoded: bool = False):
        self.root, self.names, self.size = Path(root), list(names), tuple(size)
        self._kept: list[torch.Tensor | None] | None = [None] * len(self.names) if keep_decoded else None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict:
        return {"inputs": self.crop(index), **self.target(index)}

    def crop(self, index: int) -> torch.Tensor:
        """Pixels of one sample, (3, H, W) uint8.

        Raises:
            UnreadableImage: the file is missing or broken; the sentence names it.
        """
        if self._kept is not None and self._kept[index] is not None:
            return self._kept[index]
        pixels = read_resized(self.root / self.names[index], self.size)
        crop = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        if self._kept is not None:
            self._kept[index] = crop
        return crop

    def target(self, index: int) -> dict:
        """Labels of one sample: numbers and tensors of one shape for all samples."""
        raise NotImplementedError


def content_digest(root: Path, entries: Iterable[tuple[str, str]]) -> str:
    """Digest of a labelled set: name, size in bytes and label of every file, whatever folder it lies in.

    Sizes tell two sets apart whose files have the same names (two SynthPed universes, a resized copy); reading every
    byte of a large set would not be worth the minutes.

    Args:
        root: Folder of the files.
        entries: Name relative to `root`, and label as text.
    """
    return digest(f"{name} {(root / name).stat().st_size} {label}" for name, label in entries)
