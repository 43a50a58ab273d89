"""CrowdHuman's people with their full boxes, one sample a picture, through mmdet."""

from collections.abc import Mapping
from pathlib import Path

from mmdet.datasets import CrowdHumanDataset

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.crowdhuman import CrowdHumanLayout
from clasp_bench.data.openmmlab.layout import OfficialLayout, clip_to_picture
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class CrowdHumanBoxes(OfficialLayout, CrowdHumanDataset):
    """mmdet's CrowdHumanDataset. What is not to be asked of a detector (``mask``, ``ignore``) is marked as ignored, of the one class.

    Full boxes leave the picture; a detector learns them so, and is scored against what of them is in it, as CrowdHuman's own code does.

    mmdet writes heights and widths into ``id_hw_{part}.json`` of `root` where that file is missing, after it has decoded every picture.

    Args:
        root: Folder that holds annotation_train.odgt, annotation_val.odgt and Images/.
        split, subset: See `OfficialLayout`.
        **kwargs: As in mmdet, ``pipeline`` above all.
    Raises:
        DataError: a file is missing or wrong.
    """

    in_universe = "crowdhuman"

    def __init__(self, root: str | Path, split: str, subset: Mapping | None = None, **kwargs):
        layout = open_as(CrowdHumanLayout, root)
        part = self.open_split(layout, split, subset)
        super().__init__(
            data_root=str(layout.root), ann_file=f"annotation_{part}.odgt", data_prefix=dict(img="Images"), **kwargs
        )

    def parse_data_info(self, raw_data_info: dict) -> dict:
        picture = super().parse_data_info(raw_data_info)
        for seen in picture["instances"]:
            seen["bbox_label"] = 0  # mmdet's -1 is no class, and its metric would then not ignore what lies there
        return clip_to_picture(picture) if self.test_mode else picture
