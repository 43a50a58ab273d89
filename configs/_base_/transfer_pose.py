"""What pose transfers share: people of COCO's layout cut out by their boxes, heatmaps with unbiased data processing, mirrored test.

Input 64 x 128 (mmpose gives width first) and heatmaps of a quarter of that, from two deconvolutions of a stride-16 map. They are learnt by
cross-entropy over the pixels, which gets further in few steps than the squared error of ViTPose; that is for the papers' scale.
"""

from mmengine.config import read_base

with read_base():
    from .transfer import *

from mmpose.codecs import UDPHeatmap
from mmpose.datasets.transforms import (
    GenerateTarget,
    GetBBoxCenterScale,
    LoadImage,
    PackPoseInputs,
    RandomBBoxTransform,
    RandomFlip,
    TopdownAffine,
)
from mmpose.evaluation import CocoMetric
from mmpose.models import PoseDataPreprocessor, TopdownPoseEstimator

from clasp_bench.data.openmmlab.coco_pose import CocoPose
from clasp_bench.models.heatmaps import KeypointCrossEntropy, SoftmaxHeatmapHead

default_scope = "mmpose"
model.update(
    type=TopdownPoseEstimator,
    data_preprocessor=dict(
        type=PoseDataPreprocessor, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    head=dict(
        type=SoftmaxHeatmapHead,
        in_channels=128,
        out_channels=17,
        deconv_out_channels=(64, 64),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type=KeypointCrossEntropy),
        decoder=dict(type=UDPHeatmap, input_size=(64, 128), heatmap_size=(16, 32), sigma=1.0, blur_kernel_size=5),
    ),
    test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=False),
)
train_dataloader.update(
    batch_size=32,
    dataset=dict(
        type=CocoPose,
        split="train",
        subset=dict(share=1.0, shots=None, seed=0),
        pipeline=[
            dict(type=LoadImage),
            dict(type=GetBBoxCenterScale),
            dict(type=RandomFlip, direction="horizontal"),
            dict(type=RandomBBoxTransform, scale_factor=(0.8, 1.25), rotate_factor=30.0),
            dict(type=TopdownAffine, input_size=(64, 128), use_udp=True),
            dict(
                type=GenerateTarget,
                encoder=dict(
                    type=UDPHeatmap, input_size=(64, 128), heatmap_size=(16, 32), sigma=1.0, blur_kernel_size=5
                ),
            ),
            dict(type=PackPoseInputs),
        ],
    ),
)
test_dataloader.update(
    dataset=dict(
        type=CocoPose,
        split="val",
        detections=None,  # the annotated boxes
        test_mode=True,
        pipeline=[
            dict(type=LoadImage),
            dict(type=GetBBoxCenterScale),
            dict(type=TopdownAffine, input_size=(64, 128), use_udp=True),
            dict(type=PackPoseInputs),
        ],
    ),
)
test_evaluator = dict(type=CocoMetric)
