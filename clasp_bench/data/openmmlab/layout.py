"""OpenMMLab's data sets opened by root and split, as this project's own are, with transforms that draw alike in every run."""

from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from typing import Any

import numpy as np
from mmengine.dataset import InfiniteSampler

from clasp_bench.data.images import read_rgb
from clasp_bench.data.layouts import Layout
from clasp_bench.data.subset import draw
from clasp_bench.errors import DataError
from clasp_bench.randomness import seed_generators
from clasp_bench.registry import DATA_SAMPLERS

PARTS = {"train": "train", "fit": "train", "held_out": "train", "val": "val"}  # the layout's part of each split
HELD_OUT_ONE_IN = 5


@DATA_SAMPLERS.register_module()
class SeededSampler(InfiniteSampler):
    """MMEngine's InfiniteSampler whose indices carry what the sample's random transforms are seeded with: (index, (seed, place in the run)).

    A sample's transforms then draw the same in a run that was resumed, and whatever the number of data workers.
    """

    def _indices_of_rank(self) -> Iterator[tuple[int, tuple[int, int]]]:
        placed = ((index, (self.seed, place)) for place, index in enumerate(self._infinite_indices()))
        yield from islice(placed, self.rank, None, self.world_size)


def clip_to_picture(sample: dict) -> dict:
    """A sample of mmdet's whose boxes end where the picture does, as all that a detector finds does: what it is scored against."""
    size = np.array([sample["width"], sample["height"]] * 2)
    for seen in sample["instances"]:
        seen["bbox"] = np.clip(seen["bbox"], 0, size).tolist()
    return sample


class OfficialLayout:
    """Mix-in of an OpenMMLab data set (a subclass of MMEngine's BaseDataset that names a picture ``img_path``).

    A subclass calls `open_split` before its base's ``__init__``, to which it gives the files of the split.

    Splits: ``train`` and ``val``, and ``fit`` and ``held_out``, the training pictures cut in two: the last fifth in the order of the file is held
    out, so that pictures taken one after the other stay on one side, but for those around the cut.

    Attributes:
        in_universe: Folder of a SynthPed universe that has this layout.
    """

    in_universe: str

    def open_split(self, layout: Layout, split: str, subset: Mapping | None) -> str:
        """Say what is opened, before the base opens it.

        Args:
            subset: See `subset.draw`; pictures are its units, all of one class.
        Returns:
            The layout's part that `split` is in, train or val.
        """
        self.layout, self.split, self.subset = layout, split, subset
        return PARTS[split]

    def __getitem__(self, index: int | tuple[int, tuple[int, int]]) -> Any:
        """
        Raises:
            UnreadableImage: the picture or its mask cannot be decoded.
        """
        if isinstance(index, tuple):
            index, entropy = index
            seed_generators(*entropy)
        try:
            return super().__getitem__(index)
        except Exception:
            sample = self.get_data_info(index)
            for file in filter(None, map(sample.get, ("img_path", "seg_map_path"))):
                read_rgb(file)  # if it is at fault, this says so
            raise

    def load_data_list(self) -> list[dict]:
        """The base's samples, those of the part that `split` asks for.

        Raises:
            DataError: the base cannot read the annotation.
        """
        try:
            with redirect_stdout(StringIO()):  # OpenMMLab and the COCO API print
                samples = super().load_data_list()
        except (AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.ann_file}: cannot be read ({error!r}); run `clasp-bench data verify {self.layout.root}` for all that is wrong"
            ) from error
        if self.split not in ("fit", "held_out"):
            return samples
        pictures = list(dict.fromkeys(sample["img_path"] for sample in samples))
        aside = set(pictures[len(pictures) - max(1, len(pictures) // HELD_OUT_ONE_IN) :])
        return [sample for sample in samples if (sample["img_path"] in aside) == (self.split == "held_out")]

    def filter_data(self) -> list[dict]:
        """The base's choice of samples, and of these the subset.

        Raises:
            DataError: there are none.
        """
        samples = super().filter_data()
        if not samples:
            raise DataError(f"{self.ann_file}: annotates nothing for {self.split}; give the whole data set")
        _, first, picture = np.unique(
            [sample["img_path"] for sample in samples], return_index=True, return_inverse=True
        )
        kept = draw(self.subset, np.arange(len(first)), np.zeros((len(first), 1), dtype=np.int64))
        return [samples[index] for index in np.flatnonzero(np.isin(picture, kept))]

    @property
    def name(self) -> str:
        """Name and version of the data set, as records have it."""
        return self.layout.key

    def digest(self) -> str:
        """Digest of the whole data set, the same for every split.

        Raises:
            DataError: a file is missing or a label wrong.
        """
        return self.layout.digest()
