"""CityPersons' people with their full boxes, one sample a picture, through mmdet."""

from collections.abc import Mapping
from pathlib import Path

from mmdet.datasets import CocoDataset

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.citypersons import CityPersonsCOCOLayout
from clasp_bench.data.layouts.coco import is_ignored
from clasp_bench.data.openmmlab.layout import OfficialLayout
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class CityPersonsBoxes(OfficialLayout, CocoDataset):
    """mmdet's CocoDataset on CityPersons in COCO's form. What its evaluation leaves aside is marked as ignored; mmdet would take it for background.

    Args:
        root: Folder that holds annotations/ (see `layouts.citypersons`) and the pictures.
        split, subset: See `OfficialLayout`.
        **kwargs: As in mmdet, ``pipeline`` above all.
    Raises:
        DataError: a file is missing or wrong.
    """

    METAINFO = {"classes": ("pedestrian",), "palette": [(220, 20, 60)]}  # noqa: RUF012 (mmdet's own attribute)
    in_universe = "citypersons"

    def __init__(self, root: str | Path, split: str, subset: Mapping | None = None, **kwargs):
        layout = open_as(CityPersonsCOCOLayout, root)
        annotation, pictures = layout.part(self.open_split(layout, split, subset))
        super().__init__(ann_file=str(annotation), data_prefix=dict(img=str(pictures)), **kwargs)

    def parse_data_info(self, raw_data_info: dict) -> dict:
        entries = [{**entry, "iscrowd": int(is_ignored(entry)), "ignore": 0} for entry in raw_data_info["raw_ann_info"]]
        return super().parse_data_info({**raw_data_info, "raw_ann_info": entries})
