"""A transfer model with a flip test."""

from torch import Tensor

from clasp_bench.models.transfer import TransferModel
from clasp_bench.registry import MODELS


@MODELS.register_module()
class FlipTested(TransferModel):
    """In evaluation, the mean of the features of a photo and of its mirror image; in training as its base.

    Asked for by the config, ``model = dict(type=FlipTested)``, and so part of a record's key.
    """

    def features(self, images: Tensor) -> Tensor:
        """(B, D) of normalised images (B, 3, H, W)."""
        features = super().features(images)
        return features if self.training else (features + super().features(images.flip(-1))) / 2
