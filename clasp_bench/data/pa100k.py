"""PA-100K as a data set for attribute recognition; see `layouts.pa100k` for what is on disk."""

from pathlib import Path

from clasp_bench.data.attributes import AttributeCrops
from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.pa100k import PA100KLayout
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class PA100K(AttributeCrops):
    """PA-100K, or what is written in its layout: 26 attributes.

    Args:
        root: Folder that holds annotation.mat and data/.
        split, size, **settings: See `AttributeCrops`.
    """

    in_universe = "pa100k"

    def __init__(self, root: str | Path, split: str, size: tuple[int, int], **settings):
        super().__init__(open_as(PA100KLayout, root), split, size, **settings)
