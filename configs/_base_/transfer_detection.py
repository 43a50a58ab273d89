"""What detection transfers share: street scenes in COCO's layout, Faster R-CNN with one class, settings for crowds.

Scenes are 384 pixels wide here; the pyramid has strides 4 to 32. Boxes that are not to be asked for neither attract nor repel, nor do they hide
the people in them.
"""

from mmengine.config import read_base

with read_base():
    from .transfer import *

from mmcv.ops import RoIAlign, nms
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmdet.evaluation import CocoMetric
from mmdet.models import (
    CrossEntropyLoss,
    DetDataPreprocessor,
    FasterRCNN,
    L1Loss,
    RPNHead,
    Shared2FCBBoxHead,
    SingleRoIExtractor,
    StandardRoIHead,
)
from mmdet.models.task_modules import AnchorGenerator, DeltaXYWHBBoxCoder, RandomSampler

from clasp_bench.data.openmmlab.coco_boxes import CocoBoxes
from clasp_bench.models.crowd_assigner import CrowdAssigner
from clasp_bench.models.pyramid import SimpleFeaturePyramid

default_scope = "mmdet"
model.update(
    type=FasterRCNN,
    data_preprocessor=dict(
        type=DetDataPreprocessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    neck=dict(type=SimpleFeaturePyramid, in_channels=128, out_channels=32, num_outs=4),
    rpn_head=dict(
        type=RPNHead,
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(type=AnchorGenerator, scales=[4], ratios=[1.0, 2.0, 3.0], strides=[4, 8, 16, 32]),
        bbox_coder=dict(type=DeltaXYWHBBoxCoder),
        loss_cls=dict(type=CrossEntropyLoss, use_sigmoid=True),
        loss_bbox=dict(type=L1Loss),
    ),
    roi_head=dict(
        type=StandardRoIHead,
        bbox_roi_extractor=dict(
            type=SingleRoIExtractor,
            roi_layer=dict(type=RoIAlign, output_size=7, sampling_ratio=0),
            out_channels=32,
            featmap_strides=[4, 8, 16, 32],
            finest_scale=28,
        ),
        bbox_head=dict(
            type=Shared2FCBBoxHead,
            in_channels=32,
            fc_out_channels=256,
            roi_feat_size=7,
            num_classes=1,
            bbox_coder=dict(type=DeltaXYWHBBoxCoder, target_stds=[0.1, 0.1, 0.2, 0.2]),
            reg_class_agnostic=True,
            loss_cls=dict(type=CrossEntropyLoss),
            loss_bbox=dict(type=L1Loss),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(type=CrowdAssigner, pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3, ignore_iof_thr=0.5),
            sampler=dict(type=RandomSampler, num=256, pos_fraction=0.5, add_gt_as_proposals=False),
            allowed_border=-1,
            pos_weight=-1,
        ),
        rpn_proposal=dict(nms_pre=300, max_per_img=200, nms=dict(type=nms, iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(
            assigner=dict(
                type=CrowdAssigner,
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(type=RandomSampler, num=64, pos_fraction=0.25, add_gt_as_proposals=True),
            pos_weight=-1,
        ),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=500, max_per_img=300, nms=dict(type=nms, iou_threshold=0.7), min_bbox_size=0),
        # in a crowd the boxes of two people overlap by half
        rcnn=dict(score_thr=0.01, nms=dict(type=nms, iou_threshold=0.6), max_per_img=200),
    ),
)
train_dataloader.update(
    batch_size=4,
    dataset=dict(
        type=CocoBoxes,
        split="train",
        subset=dict(share=1.0, shots=None, seed=0),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            dict(type=LoadImageFromFile),
            dict(type=LoadAnnotations, with_bbox=True),
            dict(type=Resize, scale=(384, 216), keep_ratio=True),
            dict(type=RandomFlip, prob=0.5),
            dict(type=PackDetInputs),
        ],
    ),
)
test_dataloader.update(
    batch_size=4,
    dataset=dict(
        type=CocoBoxes,
        split="val",
        test_mode=True,
        pipeline=[
            dict(type=LoadImageFromFile),
            dict(type=Resize, scale=(384, 216), keep_ratio=True),
            dict(type=LoadAnnotations, with_bbox=True),
            # the metric takes the true boxes from the samples, so that a held-out part is scored against its own
            dict(
                type=PackDetInputs,
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "instances"),
            ),
        ],
    ),
)
test_evaluator = dict(type=CocoMetric)
