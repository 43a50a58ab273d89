"""SimMIM: mmpretrain's head and linear decoder behind a backbone that sees a mask token for hidden patches."""

import torch
from mmpretrain.models.heads import SimMIMHead
from mmpretrain.models.losses import PixelReconstructionLoss
from mmpretrain.models.necks import SimMIMLinearDecoder
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import uniform
from clasp_bench.models.masking import hide
from clasp_bench.models.methods.base import SelfSupervised
from clasp_bench.registry import MODELS


@MODELS.register_module()
class SimMIM(SelfSupervised):
    """A simple framework for masked image modelling.

    Source: Xie et al., "SimMIM: A Simple Framework for Masked Image Modeling", CVPR 2022; decoder, head and loss are mmpretrain's.
    Left out: nothing. Changed: the encoder is the same Vision Transformer as every method's (theirs has relative positions); person crops
    keep their aspect ratio.

    Args:
        backbone: Config of a dense `CLASPViT`.
        data_preprocessor: Config of `MultiCropPreprocessor` with one global crop and no colour change.
        mask_share: Share of the units that is hidden.
        mask_unit: Side of a unit in patches; rows and columns of patches must be multiples of it.
    """

    display_name = "SimMIM"

    def __init__(self, backbone: dict, data_preprocessor: dict, mask_share: float = 0.6, mask_unit: int = 2):
        super().__init__(backbone, data_preprocessor)
        if any(side % mask_unit for side in self.backbone.grid):
            raise ValueError(
                f"mask_unit={mask_unit}: does not divide the {self.backbone.grid} rows and columns of patches"
            )
        patch = self.backbone.patch_embed.projection.kernel_size[0]
        self.mask_token = nn.Parameter(torch.zeros(self.backbone.feature_dim))
        self.decoder = SimMIMLinearDecoder(self.backbone.feature_dim, patch)
        self.head = SimMIMHead(patch, dict(type=PixelReconstructionLoss, criterion="L1", channel=3))
        self.mask_share, self.mask_unit = mask_share, mask_unit
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Mean absolute error of the hidden pixels; labels are not used."""
        images = crops.global_[0]
        mask = self.draw_mask(len(images), images.device)  # (B, rows, columns)
        tokens = self.backbone.tail(
            self.backbone.trunk_blocks(self.backbone.embed(images, mask.flatten(1), self.mask_token)), "instance"
        )
        latent = tokens[:, 1:].transpose(1, 2).unflatten(2, self.backbone.grid)
        return {"loss_reconstruction": self.head.loss(self.decoder(latent), images, mask)}

    def draw_mask(self, images: int, device: torch.device) -> Tensor:
        """(B, rows, columns) bool: the same number of whole units is hidden in each image."""
        rows, columns = (side // self.mask_unit for side in self.backbone.grid)
        units = hide(uniform(1, images, rows * columns, device=device)[0], round(self.mask_share * rows * columns))
        return torch.kron(units.unflatten(1, (rows, columns)), units.new_ones(1, self.mask_unit, self.mask_unit))

    def features(self, images: Tensor) -> Tensor:
        """Mean over the patches of whole images, (B, D); the loss reaches the class token through the patches alone."""
        return self.backbone.tail(self.backbone.trunk(images), "instance")[:, 1:].mean(1)
