"""PETA and PETAzs as data sets for attribute recognition; see `layouts.peta` for what is on disk."""

from pathlib import Path

from clasp_bench.data.attributes import AttributeCrops
from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.peta import PETALayout
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class PETA(AttributeCrops):
    """PETA's 35 scored attributes.

    Args:
        root: Folder of PETA.mat and images/, or of the ten folders.
        split, size, **settings: See `AttributeCrops`.
        split_file: JSON file in `root` with a zero-shot split or one of your own; default: PETA.mat's first split.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        size: tuple[int, int],
        split_file: str | None = None,
        **settings,
    ):
        super().__init__(open_as(PETALayout, root, split_file=split_file), split, size, **settings)
