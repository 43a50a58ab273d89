"""MoCo v3: mmpretrain's projection and predictor heads; two views contrasted with a momentum encoder's keys."""

from mmpretrain.models.heads import MoCoV3Head
from mmpretrain.models.losses import CrossEntropyLoss
from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.models.contrast import NORMALISED_NECK
from clasp_bench.models.initialisation import xavier
from clasp_bench.models.methods.taught import Predictive
from clasp_bench.registry import MODELS


@MODELS.register_module()
class MoCoV3(Predictive):
    """Momentum contrast for Vision Transformers.

    Source: Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021, algorithm 1;
    heads and loss are mmpretrain's.
    Left out: fixed sine-cosine positions (upstream's are for square grids; ours are learnt, as every method's).
    Changed: person crops keep their aspect ratio; batch normalisation is over the global batch on any device.

    Args:
        backbone, data_preprocessor: As in `SelfSupervised`; two global crops.
        neck, predictor: Arguments of mmpretrain's NonLinearNeck but for the input: hid_channels, out_channels, num_layers.
        temperature: Divides the similarities; the loss is multiplied by twice this.
        ema_momentum: Weight of the old momentum encoder at the first step; it rises to 1 along a cosine.
        freeze_patches: The patch projection keeps its random weights, the paper's trick for stability.
    """

    display_name = "MoCo v3"

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        neck: dict,
        predictor: dict,
        temperature: float = 0.2,
        ema_momentum: float = 0.99,
        freeze_patches: bool = True,
    ):
        super().__init__(backbone, data_preprocessor)
        self.neck = NonLinearNeck(self.backbone.feature_dim, **NORMALISED_NECK, **neck)
        predictor = dict(type=NonLinearNeck, in_channels=neck["out_channels"], **NORMALISED_NECK, **predictor)
        self.head = MoCoV3Head(predictor, dict(type=CrossEntropyLoss, loss_weight=2 * temperature), temperature)
        if freeze_patches:
            self.backbone.patch_embed.requires_grad_(False)
        self.add_teacher(ema_momentum)

    def init_weights(self) -> None:
        """MoCo v3's, where the backbone does not come from a file."""
        super().init_weights()
        if self.backbone.weights is None:
            xavier(self.backbone, joint_attention=False)
            nn.init.zeros_(self.backbone.patch_embed.projection.bias)
            nn.init.normal_(self.backbone.cls_token, std=1e-6)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Contrastive loss of each view's prediction against the keys of the other; labels are not used."""
        return {"loss_contrast": self.both_ways(crops.global_)}
