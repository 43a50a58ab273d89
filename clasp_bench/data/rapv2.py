"""RAPv2 and RAPzs as data sets for attribute recognition; see `layouts.rapv2` for what is on disk."""

from pathlib import Path

from clasp_bench.data.attributes import AttributeCrops
from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.rapv2 import RAPv2Layout
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class RAPv2(AttributeCrops):
    """RAPv2's 54 selected attributes, or RAPzs' 53 with a zero-shot split.

    Args:
        root: Folder of RAP_dataset/ and RAP_annotation/.
        split, size, **settings: See `AttributeCrops`.
        split_file: JSON file in `root` with a zero-shot split; default: the annotation's first split.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        size: tuple[int, int],
        split_file: str | None = None,
        **settings,
    ):
        super().__init__(open_as(RAPv2Layout, root, split_file=split_file), split, size, **settings)
