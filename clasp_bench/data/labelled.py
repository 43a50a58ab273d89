"""What every labelled data set of person crops shares: decoding to one size."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from clasp_bench.data.images import height_and_width, read_resized
from clasp_bench.data.layouts import Layout


class LabelledCrops(Dataset):
    """Person crops with labels. A sample is a plain dict: ``inputs`` (3, H, W) uint8 and what `target` adds.

    Nothing here is random (augmentation is batched, on the device), so the order of reading and the number of workers
    cannot change a run. A crop that cannot be read ends the run: labels without their photo would change the figures.

    Args:
        layout: The data set on disk.
        folder: What `names` are relative to, below the layout's root.
        names: One file name a sample.
        size: Height and width in pixels that crops are resized to.
        keep_decoded: Keep decoded crops in memory (3 * H * W bytes each). For sets that fit, loaded without workers.

    Attributes:
        in_universe: Folder of a SynthPed universe that has this layout, if one has.
    """

    in_universe = ""

    def __init__(
        self, layout: Layout, folder: str, names: Sequence[str], size: tuple[int, int], keep_decoded: bool = False
    ):
        self.layout, self.root = layout, layout.root / folder
        self.names, self.size = list(names), height_and_width(size)
        self._kept: list[torch.Tensor | None] | None = [None] * len(self.names) if keep_decoded else None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict:
        return {"inputs": self.crop(index), **self.target(index)}

    @property
    def name(self) -> str:
        """Name and version of the data set, as records have it."""
        return self.layout.key

    def digest(self) -> str:
        """Digest of the whole data set, the same for every split.

        Raises:
            DataError: a file is missing.
        """
        return self.layout.digest()

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
