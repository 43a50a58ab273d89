"""People of COCO's layout with their boxes, one sample a picture, through mmdet."""

from collections.abc import Mapping
from pathlib import Path

from mmdet.datasets import CocoDataset

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.coco import COCOLayout
from clasp_bench.data.openmmlab.layout import OfficialLayout
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class CocoBoxes(OfficialLayout, CocoDataset):
    """mmdet's CocoDataset with one class, person.

    Subclasses read boxes of other layouts in COCO's form.

    Args:
        root: Folder that holds annotations/ with COCO's instances or person_keypoints (which have every person's box, too) and the pictures.
        split, subset: See `OfficialLayout`.
        **kwargs: As in mmdet, ``pipeline`` above all.
    Raises:
        DataError: a file is missing or wrong.
    """

    METAINFO = {"classes": ("person",), "palette": [(220, 20, 60)]}  # noqa: RUF012 (mmdet's own attribute)
    in_universe = "coco"
    layout_type = COCOLayout

    def __init__(self, root: str | Path, split: str, subset: Mapping | None = None, **kwargs):
        layout = open_as(self.layout_type, root)
        annotation, pictures = layout.part(self.open_split(layout, split, subset))
        super().__init__(ann_file=str(annotation), data_prefix=dict(img=str(pictures)), **kwargs)
