"""Market-1501 as a data set for re-identification; see `layouts.market1501` for what is on disk."""

from pathlib import Path

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.market1501 import Market1501Layout
from clasp_bench.data.reid import ReIDCrops
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class Market1501(ReIDCrops):
    """Market-1501, or what is written in its layout.

    Args:
        root: Folder that holds bounding_box_train, query and bounding_box_test.
        split, size, **settings: See `ReIDCrops`.
    """

    in_universe = "market1501"

    def __init__(self, root: str | Path, split: str, size: tuple[int, int], **settings):
        super().__init__(open_as(Market1501Layout, root), split, size, **settings)
