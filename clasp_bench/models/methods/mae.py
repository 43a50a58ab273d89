"""MAE: mmpretrain's masked autoencoder, taught to see person images, which are taller than wide."""

import torch
from mmpretrain.models.backbones.vision_transformer import VisionTransformer
from mmpretrain.models.heads import MAEPretrainHead
from mmpretrain.models.losses import PixelReconstructionLoss
from mmpretrain.models.necks import MAEPretrainDecoder
from mmpretrain.models.selfsup import MAEViT
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import global_size, own_rows
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.backbones.positions import sincos_positions
from clasp_bench.models.drop_path import drop_for_the_global_batch
from clasp_bench.models.initialisation import xavier
from clasp_bench.models.methods.base import SelfSupervised
from clasp_bench.registry import MODELS


@MODELS.register_module()
class PersonMAEViT(MAEViT):
    """mmpretrain's MAEViT with `CLASPViT`'s sizes and a position embedding for a grid that need not be square."""

    arch_zoo = CLASPViT.arch_zoo

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        drop_for_the_global_batch(self)

    def init_weights(self) -> None:
        """MAE's, with a sine-cosine position embedding over rows and columns."""
        VisionTransformer.init_weights(self)
        self.pos_embed.data.copy_(sincos_positions(self.patch_resolution, self.embed_dims))
        xavier(self)
        nn.init.normal_(self.cls_token, std=0.02)

    def random_masking(self, x: Tensor, mask_ratio: float) -> tuple[Tensor, Tensor, Tensor]:
        """Keep a random share of the patches, the same for an image however many processes share the batch.

        Args:
            x: (B, N, D) patches.
            mask_ratio: Share of them that is left out.
        Returns:
            The patches kept (B, K, D), the mask (B, N) with 1 where one was left out, and for each patch its place in the shuffled order (B, N).
        """
        images, patches, width = x.shape
        kept = int(patches * (1 - mask_ratio))
        order = own_rows(torch.rand(global_size(images), patches, device=x.device)).argsort(dim=1)
        place = order.argsort(dim=1)
        return x.gather(1, order[:, :kept, None].expand(-1, -1, width)), (place >= kept).to(x.dtype), place

    def _prepare_pos_embed(self, *args, **kwargs) -> None:
        """mmpretrain takes a foreign position embedding for square; grids of this model's shape need no resizing."""


@MODELS.register_module()
class PersonMAEDecoder(MAEPretrainDecoder):
    """mmpretrain's MAE decoder for a grid of (rows, columns) patches."""

    def __init__(self, grid: tuple[int, int], **kwargs):
        super().__init__(num_patches=grid[0] * grid[1], **kwargs)
        self.grid = tuple(grid)

    def init_weights(self) -> None:
        """MAE's, with a sine-cosine position embedding over rows and columns."""
        xavier(self)
        nn.init.normal_(self.mask_token, std=0.02)
        self.decoder_pos_embed.data.copy_(sincos_positions(self.grid, self.decoder_pos_embed.shape[-1]))


@MODELS.register_module()
class PersonMAEHead(MAEPretrainHead):
    """mmpretrain's MAE loss for images that need not be square."""

    def patchify(self, imgs: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, N, patch * patch * 3)."""
        side = self.patch_size
        patches = imgs.unfold(2, side, side).unfold(3, side, side)  # (B, 3, rows, columns, side, side)
        return patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def pixel_reconstruction(
    backbone: VisionTransformer, decoder: dict, norm_pix: bool = True
) -> tuple[PersonMAEDecoder, PersonMAEHead]:
    """What rebuilds the patches hidden from `backbone`, and what compares their pixels with the image's; arguments as in `MAE`."""
    patch = backbone.patch_embed.projection.kernel_size[0]
    loss = dict(type=PixelReconstructionLoss, criterion="L2")
    return (
        PersonMAEDecoder(backbone.patch_resolution, patch_size=patch, embed_dim=backbone.embed_dims, **decoder),
        PersonMAEHead(loss=loss, norm_pix=norm_pix, patch_size=patch),
    )


@MODELS.register_module()
class MAE(SelfSupervised):
    """Masked autoencoders.

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022; encoder, decoder and loss are mmpretrain's.
    Left out: nothing. Changed: person crops keep their aspect ratio (H : W = 2 : 1); position embeddings have shorter waves, as all backbones here.

    Args:
        backbone: Config of a `PersonMAEViT`.
        data_preprocessor: Config of `MultiCropPreprocessor` with one global crop and no colour change.
        decoder: Arguments of mmpretrain's MAEPretrainDecoder: decoder_embed_dim, decoder_depth, decoder_num_heads.
        norm_pix: Reconstruct pixels normalised within their patch.
    """

    display_name = "MAE"

    def __init__(self, backbone: dict, data_preprocessor: dict, decoder: dict, norm_pix: bool = True):
        super().__init__(backbone, data_preprocessor)
        self.decoder, self.head = pixel_reconstruction(self.backbone, decoder, norm_pix)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Mean squared error of the masked patches; labels are not used."""
        images = crops.global_[0]
        latent, mask, order = self.backbone(images)
        return {"loss_reconstruction": self.head.loss(self.decoder(latent, order), images, mask)}

    def features(self, images: Tensor) -> Tensor:
        """Mean over the patches of whole images, (B, D); no loss reaches the class token."""
        return self.backbone(images, mask=None)[-1][:, 1:].mean(1)
