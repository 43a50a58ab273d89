"""MSMT17 as a data set for re-identification; see `layouts.msmt17` for what is on disk and how its versions are told apart."""

from pathlib import Path

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.msmt17 import MSMT17Layout
from clasp_bench.data.reid import ReIDCrops
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class MSMT17(ReIDCrops):
    """MSMT17, called ``msmt17-v1`` or ``msmt17-v2`` by what the folder holds.

    Args:
        root: Folder of the lists, or the one above.
        split, size, **settings: See `ReIDCrops`.
    """

    in_universe = "msmt17"

    def __init__(self, root: str | Path, split: str, size: tuple[int, int], **settings):
        super().__init__(open_as(MSMT17Layout, root), split, size, **settings)
