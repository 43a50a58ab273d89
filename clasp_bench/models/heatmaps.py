"""Keypoints as places: heatmaps that are distributions over the pixels, learnt by cross-entropy."""

import math

from mmpose.models import HeatmapHead
from torch import Tensor, nn

from clasp_bench.registry import MODELS


@MODELS.register_module()
class SoftmaxHeatmapHead(HeatmapHead):
    """mmpose's heatmap head, whose maps are scores: their softmax over the pixels is what is decoded.

    It is decoded at the height that makes it the Gaussian of height 1 it learns from, so that a joint's score means what it means elsewhere:
    near 1 for one that is found, near 0 for one that may be anywhere.
    """

    def decode(self, batch_outputs: Tensor) -> list:
        """Joints of maps (B, K, h, w); `KeypointCrossEntropy` learns them."""
        places = batch_outputs.flatten(2).softmax(dim=2).view_as(batch_outputs)
        return super().decode(2 * math.pi * self.decoder.sigma**2 * places)


@MODELS.register_module()
class KeypointCrossEntropy(nn.Module):
    """Cross-entropy of a joint's place among all pixels of its map, mean over the joints asked for.

    Source: He et al., "Mask R-CNN", ICCV 2017, section 5, with the usual Gaussian, as a distribution, in place of one pixel. Where a squared
    error first learns that nearly every pixel is 0, this one has a gradient towards the joint from the first step.
    """

    def forward(self, output: Tensor, target: Tensor, target_weights: Tensor) -> Tensor:
        """The loss.

        Args:
            output: Scores (B, K, h, w).
            target: Gaussians (B, K, h, w), of any height.
            target_weights: (B, K), 0 for joints that are not asked for.
        """
        target = target.flatten(2)
        target = target / target.sum(dim=2, keepdim=True).clamp_min(1e-6)
        missed = -(target * output.flatten(2).log_softmax(dim=2)).sum(dim=2)
        return (missed * target_weights).sum() / target_weights.sum().clamp_min(1)
