"""DINO: a student learns what an EMA teacher, which sees other crops of the same photo, says of it."""

import torch
from torch import Tensor

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.taught import SelfDistilled
from clasp_bench.registry import MODELS


@MODELS.register_module()
class DINO(SelfDistilled):
    """Self-distillation with no labels.

    Source: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, eq. 1-2 and section 3.1.
    Left out: the schedule of weight decay, and the freezing of the prototypes in the first epoch.
    Changed: person crops keep their aspect ratio (H : W = 2 : 1); prototypes have unit length, as in DINO's `norm_last_layer`.

    Args:
        ema_momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
        **kwargs: See `SelfDistilled`.
    """

    display_name = "DINO"

    def __init__(self, *args, ema_momentum: float = 0.996, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_teacher(ema_momentum)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy between teacher and student over all pairs of different crops; labels are not used."""
        self.update_teacher()
        student = [encode(self.backbone, views)[:, :, 0] for views in (crops.global_, crops.local) if len(views)]
        with torch.no_grad():
            teacher = encode(self.teacher.module[0], crops.global_)[:, :, 0]
        return {"loss_instance": self.distil(torch.cat(student), teacher)}
