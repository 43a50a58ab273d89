"""PASS: DINO with part tokens, each of which learns from local crops of its own region alone."""

import torch
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop, MultiCropPreprocessor, crop_maps
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.heads.projection import ProjectionHead
from clasp_bench.models.methods.taught import SelfDistilled
from clasp_bench.registry import MODELS


@MODELS.register_module()
class RegionCropPreprocessor(MultiCropPreprocessor):
    """Views whose local crops are cut from horizontal regions of the photo: local crop l from region l modulo their number, top first.

    Args:
        regions: Their number; local crops must be a multiple of it.
        region_height: Share of the photo's height that one covers; they are spread evenly from the top edge to the bottom edge.
        **kwargs: See `MultiCropPreprocessor`. The scale of local crops is their share of the whole photo.
    """

    def __init__(self, regions: int = 3, region_height: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        if self.local_crops.count % regions:
            raise ValueError(f"local_crops.count={self.local_crops.count}: give a multiple of regions={regions}")
        self.regions, self.region_height = regions, region_height

    def _local_maps(self, canvas: Tensor) -> list[Tensor]:
        plan, height = self.local_crops, self.region_height
        scale = tuple(min(1.0, share / height) for share in plan.scale)
        maps = []
        for crop in range(plan.count):
            map_ = crop_maps(len(canvas), scale, self.flip, device=canvas.device)
            centre = (2 * (crop % self.regions) / max(self.regions - 1, 1) - 1) * (1 - height)
            map_[:, 1] *= height
            map_[:, 1, 2] += centre
            maps.append(map_)
        return maps


class PartTokens(nn.Module):
    """Learnt tokens that stand between a backbone's class token and its patches.

    Args:
        count: Their number.
        width: That of the backbone's tokens.
    """

    def __init__(self, count: int, width: int):
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(count, width))
        nn.init.trunc_normal_(self.tokens, std=0.02)

    def forward(self, backbone: CLASPViT, images: Tensor, which: slice = slice(None)) -> Tensor:
        """Class token and the chosen P part tokens of images (B, 3, H, W): (B, 1 + P, D)."""
        tokens, parts = backbone.embed(images), self.tokens[which]
        parts = parts.expand(len(images), -1, -1).to(tokens.dtype)
        tokens = torch.cat([tokens[:, :1], parts, tokens[:, 1:]], dim=1)
        return backbone.tail(backbone.trunk_blocks(tokens), "instance")[:, : 1 + parts.shape[1]]


@MODELS.register_module()
class PASS(SelfDistilled):
    """Part-aware self-supervised pre-training.

    Source: Zhu et al., "PASS: Part-Aware Self-Supervised Pre-Training for Person Re-Identification", ECCV 2022. Global views carry all part
    tokens, a local crop only that of the region it is cut from; the class token of every view and crop is compared with those of the
    teacher's global views, a part token with the same one there. Each token has a projection head of its own, as in the authors' code, and
    a centre of its own, without which one that always gave the same answer would be rewarded.
    Left out: DINO's schedules (see `DINO`). Changed: part tokens stay behind, the backbone that is handed on is a plain one (the paper
    fine-tunes with them, class and part features side by side).

    Args:
        backbone: Config of a dense `CLASPViT`.
        data_preprocessor: Config of `RegionCropPreprocessor`; it has a part token for each region.
        projection: Arguments of `ProjectionHead`, for each of the heads.
        ema_momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
        **kwargs: See `SelfDistilled`.
    """

    display_name = "PASS"
    followed = ("backbone", "projection", "parts", "part_projections")

    def __init__(
        self, backbone: dict, data_preprocessor: dict, projection: dict, ema_momentum: float = 0.996, **kwargs
    ):
        super().__init__(backbone, data_preprocessor, projection, **kwargs)
        width = self.backbone.feature_dim
        self.parts = PartTokens(self.data_preprocessor.regions, width)
        self.part_projections = nn.ModuleList(ProjectionHead(width, **projection) for _ in self.parts.tokens)
        self.part_centers = nn.ModuleList(self.another_center() for _ in self.parts.tokens)
        self.add_teacher(ema_momentum)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """DINO's loss of the class tokens, and its mean over the part tokens; labels are not used."""
        self.update_teacher()
        views = crops.global_.shape[:2]
        student = self.parts(self.backbone, crops.global_.flatten(0, 1)).unflatten(0, views)  # (G, B, 1 + P, D)
        with torch.no_grad():
            backbone, _, parts, projections = self.teacher.module
            teacher = parts(backbone, crops.global_.flatten(0, 1)).unflatten(0, views)
            said = [project(teacher[:, :, 1 + part]) for part, project in enumerate(projections)]
        regions = range(len(self.part_centers))
        local = [self._local(crops.local[part :: len(regions)], part) for part in regions]  # (L / P, B, 2, D) each
        classes = torch.cat([student[:, :, 0], *(tokens[:, :, 0] for tokens in local)])
        part_losses = [
            self.distil_logits(
                project(torch.cat([student[:, :, 1 + part], local[part][:, :, 1]])), said[part], self.part_centers[part]
            )
            for part, project in enumerate(self.part_projections)
        ]
        return {
            "loss_instance": self.distil(classes, teacher[:, :, 0]),
            "loss_part": torch.stack(part_losses).mean(),
        }

    def _local(self, views: Tensor, part: int) -> Tensor:
        """Class token and one part's token of the local crops (L, B, 3, h, w) of its region: (L, B, 2, D)."""
        tokens = self.parts(self.backbone, views.flatten(0, 1), slice(part, part + 1))
        return tokens.unflatten(0, views.shape[:2])
