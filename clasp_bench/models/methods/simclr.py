"""SimCLR: two views of a photo find each other among all views of the batch."""

from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.models.contrast import GlobalBatchNorm, nt_xent
from clasp_bench.models.methods.base import SelfSupervised, encode
from clasp_bench.registry import MODELS


@MODELS.register_module()
class SimCLR(SelfSupervised):
    """A simple framework for contrastive learning.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, eq. 1;
    the projection head is mmpretrain's.
    Left out: LARS. Changed: the loss is ours, because upstream's gradient is too small by the number of processes (each keeps the part of the
    global loss's gradient that is its own, and DDP then divides by their number); person crops keep their aspect ratio.

    Args:
        backbone, data_preprocessor: As in `SelfSupervised`; two global crops.
        neck: Arguments of mmpretrain's NonLinearNeck but for the input: hid_channels, out_channels, num_layers.
        temperature: Divides the similarities.
    """

    display_name = "SimCLR"

    def __init__(self, backbone: dict, data_preprocessor: dict, neck: dict, temperature: float = 0.1):
        super().__init__(backbone, data_preprocessor)
        self.neck = NonLinearNeck(
            self.backbone.feature_dim, with_avg_pool=False, norm_cfg=dict(type=GlobalBatchNorm), **neck
        )
        self.temperature = temperature

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """NT-Xent over the global batch; labels are not used."""
        features = encode(self.backbone, crops.global_)[:, :, 0]
        one, other = self.neck((features.flatten(0, 1),))[0].unflatten(0, features.shape[:2])
        return {"loss_contrast": nt_xent(one, other, self.temperature)}
