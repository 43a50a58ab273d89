"""HAP: MAE whose masks prefer body parts, seen twice, and the two views' class tokens aligned."""

import torch
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import uniform
from clasp_bench.models.contrast import info_nce
from clasp_bench.models.initialisation import xavier
from clasp_bench.models.masking import BLOCKS, block_priority, encode_visible
from clasp_bench.models.methods.base import SelfSupervised
from clasp_bench.models.methods.mae import pixel_reconstruction
from clasp_bench.registry import MODELS

# of COCO's joints: head, trunk, left arm, right arm, left leg, right leg
PARTS = ((0, 1, 2, 3, 4), (5, 6, 11, 12), (5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16))
VISIBLE = 0.3


@MODELS.register_module()
class HAP(SelfSupervised):
    """Structure-aware masked image modelling for human-centric perception.

    Source: Yuan et al., "HAP: Structure-Aware Masked Image Modeling for Human-Centric Perception", NeurIPS 2023.
    Left out: the start from MAE's ImageNet weights. Changed: positions are learnt; a part is the box around its visible joints, at least one
    patch; the blocks that fill the mask up are drawn for the batch at once.

    Args:
        backbone: Config of a dense `CLASPViT`.
        data_preprocessor: Config of `MultiCropPreprocessor` with one global crop and no colour change.
        decoder: Arguments of mmpretrain's MAEPretrainDecoder: decoder_embed_dim, decoder_depth, decoder_num_heads.
        mask_share: Share of the patches that is hidden.
        part_share: Of each part that is drawn, at most this share of its patches is hidden first.
        alignment: Factor of the alignment loss.
        temperature: Of the alignment; its loss, a sum of both ways, is multiplied by twice this.
    """

    display_name = "HAP"
    outside_supervision = "keypoints of a pose model"

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        decoder: dict,
        mask_share: float = 0.5,
        part_share: float = 0.3,
        alignment: float = 0.05,
        temperature: float = 0.2,
    ):
        super().__init__(backbone, data_preprocessor)
        self.decoder, self.head = pixel_reconstruction(self.backbone, decoder)
        self.mask_share, self.part_share = mask_share, part_share
        self.alignment, self.temperature = alignment, temperature

    def init_weights(self) -> None:
        """As MAE's, where the backbone does not come from a file."""
        super().init_weights()
        if self.backbone.weights is None:
            xavier(self.backbone)
            nn.init.normal_(self.backbone.cls_token, std=0.02)

    def loss(self, crops: MultiCrop, keypoints: Tensor, **labels: Tensor) -> dict[str, Tensor]:
        """Mean squared error of the hidden patches of two masks of each crop, and the alignment of their class tokens, each to the other as it is.

        Args:
            keypoints: (B, 17, 3), see `clasp_bench.data.posed`.
        """
        images = crops.global_[0]
        patches = part_patches(keypoints, crops.maps[0], self.backbone.grid)
        hidden = round(self.mask_share * patches.shape[2])
        seen, errors = [], []
        for priority in self.draw_priority(patches):
            latent, mask, place = encode_visible(self.backbone, images, priority, hidden)
            errors.append(self.head.loss(self.decoder(latent, place), images, mask))
            seen.append(latent[:, 0])
        one, other = seen
        alignment = info_nce(one, other.detach(), self.temperature) + info_nce(other, one.detach(), self.temperature)
        return {
            "loss_reconstruction": (errors[0] + errors[1]) / 2,
            "loss_alignment": self.alignment * 2 * self.temperature * alignment,
        }

    def draw_priority(self, patches: Tensor) -> Tensor:
        """Which patches of parts (B, P, N) are hidden first, then which blocks, for two masks: (2, B, N), see `masking`.

        0 to P parts are drawn for a mask, each number as likely as another, and of each 0 to `part_share` of its patches, rounded down.
        """
        images, parts, count = patches.shape
        draw = uniform(2, images, parts, count + 2, device=patches.device)
        number = uniform(2, images, 1, device=patches.device) * (parts + 1)
        drawn = draw[..., 0].argsort(2).argsort(2) < number.floor()  # (2, B, P)
        wanted = (self.part_share * draw[..., 1] * patches.sum(2)).floor()
        rank = draw[..., 2:].where(patches, torch.inf).argsort(3).argsort(3)  # of a patch within its part
        first = ((rank < wanted[..., None]) & drawn[..., None]).any(2)
        blocks = block_priority(2, images, self.backbone.grid, device=patches.device).unflatten(0, (2, images))
        return blocks - (BLOCKS + 1) * first


def part_patches(keypoints: Tensor, maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Which patches of a crop lie in the box around each part's visible joints.

    Args:
        keypoints: (B, 17, 3) on the photo, see `clasp_bench.data.posed`.
        maps: (B, 2, 3), where the crop lies in the photo.
    Returns:
        (B, 6, N) bool, false throughout for a part none of whose joints is visible in the crop.
    """
    rows, columns = grid
    on_photo = 2 * keypoints[..., :2] - 1
    on_crop = (on_photo - maps[:, None, :, 2]) / torch.diagonal(maps[:, :, :2], dim1=1, dim2=2)[:, None]
    visible = (keypoints[..., 2] > VISIBLE) & (on_crop.abs() < 1).all(2)  # (B, 17)
    size = keypoints.new_tensor([columns, rows])
    patch = ((on_crop + 1) / 2 * size).floor()  # (B, 17, 2): column and row
    column, row = torch.arange(columns, device=patch.device), torch.arange(rows, device=patch.device)
    found = []
    for part in PARTS:
        shown = visible[:, part, None]
        low = torch.where(shown, patch[:, part], torch.inf).amin(1)
        high = torch.where(shown, patch[:, part], -torch.inf).amax(1)
        in_row = (row >= low[:, 1, None]) & (row <= high[:, 1, None])
        in_column = (column >= low[:, 0, None]) & (column <= high[:, 0, None])
        found.append((in_row[:, :, None] & in_column[:, None, :]).flatten(1))
    return torch.stack(found, 1)
