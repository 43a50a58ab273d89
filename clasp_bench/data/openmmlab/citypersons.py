"""CityPersons' people with their full boxes, one sample a picture, through mmdet."""

from clasp_bench.data.layouts.citypersons import CityPersonsCOCOLayout
from clasp_bench.data.layouts.coco import is_ignored
from clasp_bench.data.openmmlab.coco_boxes import CocoBoxes
from clasp_bench.data.openmmlab.layout import clip_to_picture
from clasp_bench.registry import DATASETS


@DATASETS.register_module()
class CityPersonsBoxes(CocoBoxes):
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
    layout_type = CityPersonsCOCOLayout

    def parse_data_info(self, raw_data_info: dict) -> dict:
        entries = [{**entry, "iscrowd": int(is_ignored(entry)), "ignore": 0} for entry in raw_data_info["raw_ann_info"]]
        sample = super().parse_data_info({**raw_data_info, "raw_ann_info": entries})
        return clip_to_picture(sample) if self.test_mode else sample
