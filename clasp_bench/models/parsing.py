"""The parsing model: mmseg's encoder and decoder, tested on mirrored and scaled copies of a picture."""

from collections.abc import Sequence

import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor
from torch.nn import functional as F

from clasp_bench.registry import MODELS


@MODELS.register_module()
class PersonParser(EncoderDecoder):
    """`EncoderDecoder` whose test averages class probabilities over scales and mirror images.

    mmseg's own test-time augmentation mirrors the map back and leaves its classes as they are: a mirrored left arm stays a left arm.
    Here the classes of the two sides change places as well.

    Args:
        mirrored_classes: Pairs of classes that a mirror exchanges.
        test_scales: Sizes that a picture is tested at, in units of its own size.
        test_flip: Test the mirror image at each size, too.
        **kwargs: As in mmseg.
    """

    def __init__(
        self,
        *args,
        mirrored_classes: Sequence[tuple[int, int]] = (),
        test_scales: Sequence[float] = (1.0,),
        test_flip: bool = False,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.test_scales, self.test_flip = test_scales, test_flip
        self.mirror_of = list(range(self.num_classes))
        for left, right in mirrored_classes:
            self.mirror_of[left], self.mirror_of[right] = right, left

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Class probabilities (B, C, H, W) of normalised images (B, 3, H, W), each seen as a whole."""
        size = inputs.shape[-2:]
        total, views = 0, 0
        for scale in self.test_scales:
            scaled = inputs if scale == 1 else F.interpolate(inputs, scale_factor=scale, mode="bilinear")
            for mirrored in (False, True) if self.test_flip else (False,):
                logits = self.encode_decode(scaled.flip(-1) if mirrored else scaled, batch_img_metas)
                share = F.interpolate(logits, size, mode="bilinear").softmax(1)
                total = total + (share.flip(-1)[:, self.mirror_of] if mirrored else share)
                views += 1
        # mmseg resizes these and takes each pixel's best class, which goes four times as fast where a pixel's classes lie side by side
        return (total / views).contiguous(memory_format=torch.channels_last)
