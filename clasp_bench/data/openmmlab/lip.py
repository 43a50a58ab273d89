"""LIP's people with masks of 20 classes, one sample a photo, through mmseg.

Left and right are the person's own, so a mirror exchanges classes 14 and 15 (arms), 16 and 17 (legs), 18 and 19 (shoes).
"""

from collections.abc import Mapping
from pathlib import Path

from mmseg.datasets import LIPDataset

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.lip import LIPLayout
from clasp_bench.data.openmmlab.layout import OfficialLayout
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class LIP(OfficialLayout, LIPDataset):
    """mmseg's LIPDataset.

    Args:
        root: Folder that holds train_id.txt, val_id.txt, TrainVal_images/ and TrainVal_parsing_annotations/.
        split, subset: See `OfficialLayout`.
        **kwargs: As in mmseg, ``pipeline`` above all.
    Raises:
        DataError: a file is missing or wrong.
    """

    in_universe = "lip"

    def __init__(self, root: str | Path, split: str, subset: Mapping | None = None, **kwargs):
        layout = open_as(LIPLayout, root)
        part = self.open_split(layout, split, subset)
        super().__init__(
            data_root=str(layout.root),
            ann_file=f"{part}_id.txt",
            data_prefix=dict(
                img_path=f"TrainVal_images/{part}_images",
                seg_map_path=f"TrainVal_parsing_annotations/{part}_segmentations",
            ),
            **kwargs,
        )
