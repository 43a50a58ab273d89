"""BYOL: mmpretrain's projection and predictor heads; one view predicts a moving average's projection of the other."""

from mmpretrain.models.heads import LatentPredictHead
from mmpretrain.models.losses import CosineSimilarityLoss
from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.models.contrast import GlobalBatchNorm
from clasp_bench.models.methods.taught import Predictive
from clasp_bench.registry import MODELS


@MODELS.register_module()
class BYOL(Predictive):
    """Bootstrap your own latent.

    Source: Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020, eq. 2;
    heads and loss are mmpretrain's.
    Left out: LARS, and solarisation of one view. Changed: the encoder is a Vision Transformer (theirs a
    ResNet); person crops keep their aspect ratio.

    Args:
        backbone, data_preprocessor: As in `SelfSupervised`; two global crops.
        neck, predictor: Arguments of mmpretrain's NonLinearNeck but for the input: hid_channels, out_channels.
        ema_momentum: Weight of the old target network at the first step; it rises to 1 along a cosine.
    """

    display_name = "BYOL"

    def __init__(
        self, backbone: dict, data_preprocessor: dict, neck: dict, predictor: dict, ema_momentum: float = 0.996
    ):
        super().__init__(backbone, data_preprocessor)
        common = dict(
            with_avg_pool=False,
            with_bias=True,
            with_last_bn=False,
            with_last_bias=True,
            norm_cfg=dict(type=GlobalBatchNorm),
        )
        self.neck = NonLinearNeck(self.backbone.feature_dim, **common, **neck)
        predictor = dict(type=NonLinearNeck, in_channels=neck["out_channels"], **common, **predictor)
        self.head = LatentPredictHead(dict(type=CosineSimilarityLoss, shift_factor=2.0, scale_factor=2.0), predictor)
        self.add_teacher(ema_momentum)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Squared distance of unit vectors, 2 - 2 cos, summed over both directions; labels are not used."""
        return {"loss_prediction": self.both_ways(crops.global_)}
