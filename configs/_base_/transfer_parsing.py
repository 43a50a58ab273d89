"""What parsing transfers share: photos of one person in LIP's layout, 20 classes, SegFormer's head on a pyramid, mirrored test.

Input 64 x 128 (mmseg gives width first where it resizes, height first where it crops).
"""

from mmengine.config import read_base

with read_base():
    from .transfer import *

from mmcv.transforms import LoadImageFromFile, RandomFlip, RandomResize
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs, RandomCrop, Resize
from mmseg.evaluation import IoUMetric
from mmseg.models import CrossEntropyLoss, SegDataPreProcessor, SegformerHead

from clasp_bench.data.openmmlab.lip import LIP
from clasp_bench.models.parsing import PersonParser
from clasp_bench.models.pyramid import SimpleFeaturePyramid

default_scope = "mmseg"
model.update(
    type=PersonParser,
    data_preprocessor=dict(
        type=SegDataPreProcessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(128, 64),
        seg_pad_val=255,
    ),
    neck=dict(type=SimpleFeaturePyramid, in_channels=128, out_channels=64, num_outs=4),
    decode_head=dict(
        type=SegformerHead,
        in_channels=[64] * 4,
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.0,
        num_classes=20,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss),
    ),
    mirrored_classes=((14, 15), (16, 17), (18, 19)),
    test_scales=(1.0,),
    test_flip=True,
)
train_dataloader.update(
    batch_size=32,
    dataset=dict(
        type=LIP,
        split="train",
        subset=dict(share=1.0, shots=None, seed=0),
        pipeline=[
            dict(type=LoadImageFromFile),
            dict(type=LoadAnnotations),
            dict(type=RandomResize, scale=(64, 128), ratio_range=(0.8, 1.25), resize_type=Resize, keep_ratio=False),
            dict(type=RandomCrop, crop_size=(128, 64)),
            dict(type=RandomFlip, prob=0.5, swap_seg_labels=((14, 15), (16, 17), (18, 19))),
            dict(type=PackSegInputs),
        ],
    ),
)
test_dataloader.update(
    dataset=dict(
        type=LIP,
        split="val",
        test_mode=True,
        pipeline=[
            dict(type=LoadImageFromFile),
            dict(type=Resize, scale=(64, 128), keep_ratio=False),
            dict(type=LoadAnnotations),
            dict(type=PackSegInputs),
        ],
    ),
)
test_evaluator = dict(type=IoUMetric, prefix="parsing")
