"""CUHK03-NP as a data set for re-identification; see `layouts.cuhk03np` for what is on disk."""

from pathlib import Path

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.cuhk03np import CUHK03NPLayout
from clasp_bench.data.reid import ReIDCrops
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class CUHK03NP(ReIDCrops):
    """CUHK03-NP, called ``cuhk03np-detected`` or ``cuhk03np-labeled``.

    Args:
        root: The folder ``detected`` or ``labeled``.
        split, size, **settings: See `ReIDCrops`.
    """

    def __init__(self, root: str | Path, split: str, size: tuple[int, int], **settings):
        super().__init__(open_as(CUHK03NPLayout, root), split, size, **settings)
