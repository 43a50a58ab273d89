"""COCO's people with their 17 joints, one sample a person, through mmpose."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import mmpose
from mmengine.logging import MessageHub
from mmpose.datasets.datasets.body.coco_dataset import CocoDataset

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.coco import COCOLayout
from clasp_bench.data.openmmlab.layout import OfficialLayout
from clasp_bench.errors import DataError
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class CocoPose(OfficialLayout, CocoDataset):
    """mmpose's CocoDataset.

    Args:
        root: Folder that holds annotations/person_keypoints_{train,val}2017.json and the pictures.
        split, subset: See `OfficialLayout`.
        detections: A detector's boxes, in person_detection_results/, to test on instead of the annotated boxes. Only val has any.
        **kwargs: As in mmpose, ``pipeline`` above all.
    Raises:
        DataError: a file is missing or wrong.
    """

    in_universe = "coco"
    METAINFO: ClassVar = dict(from_file=str(Path(mmpose.__file__).parent / ".mim/configs/_base_/datasets/coco.py"))

    def __init__(
        self, root: str | Path, split: str, subset: Mapping | None = None, detections: str | None = None, **kwargs
    ):
        layout = open_as(COCOLayout, root)
        if layout.version != "keypoints":
            raise DataError(
                f"{layout.root}: is COCO without joints; fetch annotations/person_keypoints_{{train,val}}2017.json"
            )
        annotation, pictures = layout.part(self.open_split(layout, split, subset))
        if detections and split == "val":
            boxes = layout.root / "person_detection_results" / detections
            if not boxes.is_file():
                raise DataError(
                    f"{boxes}: there is no such file of detected boxes; fetch it, or test on the annotated ones (detections=None)"
                )
            kwargs["bbox_file"] = str(boxes)
        super().__init__(ann_file=str(annotation), data_prefix=dict(img=str(pictures)), **kwargs)
        if split == "held_out":  # mmpose's metric would count the people of the other training pictures as missed
            MessageHub.get_current_instance().update_info(f"{self.metainfo['dataset_name']}_ann_file", None)
