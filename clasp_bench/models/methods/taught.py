"""What methods with an EMA teacher share, and among them those that distil it through DINO's head."""

from collections.abc import Callable

import torch
from mmengine.logging import MessageHub
from mmpretrain.models.utils import CosineEMA
from torch import Tensor, nn

from clasp_bench.models.drop_path import keep_all_paths
from clasp_bench.models.heads.projection import Center, ProjectionHead, cross_view_entropy
from clasp_bench.models.methods.base import SelfSupervised, encode


class Taught(SelfSupervised):
    """Base of the methods whose targets come from a teacher, a moving average of the student.

    Attributes:
        followed: Names of the modules that the teacher is an average of; `teacher.module` lists it in this order.
    """

    followed: tuple[str, ...]

    def add_teacher(self, momentum: float, average: Callable[..., CosineEMA] = CosineEMA) -> None:
        """Make the teacher, at the end of the constructor.

        Args:
            momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
            average: What the teacher is; made of the student and ``momentum``, the weight of the new.
        """
        self.teacher = average(self._student(), momentum=1 - momentum)
        keep_all_paths(self.teacher)  # as DINO's: only students drop

    def update_teacher(self) -> None:
        """Move the teacher, at the beginning of a step; the first call copies the student."""
        self.teacher.update_parameters(self._student())

    def progress(self) -> float:
        """How much of the run is done, from 0 to 1."""
        return self.teacher.steps.item() / MessageHub.get_current_instance().get_info("max_iters")

    def _student(self) -> nn.ModuleList:
        return nn.ModuleList([getattr(self, name) for name in self.followed])


class Predictive(Taught):
    """Base of the methods whose head (`head`) predicts the teacher's projection of one view from the student's of the other."""

    followed = ("backbone", "neck")

    def both_ways(self, views: Tensor) -> Tensor:
        """`head`'s loss of two views (2, B, 3, H, W) against each other, summed over both directions."""
        self.update_teacher()
        online = [self.neck((view,))[0] for view in encode(self.backbone, views)[:, :, 0]]
        with torch.no_grad():
            backbone, neck = self.teacher.module
            target = [neck((view,))[0] for view in encode(backbone, views)[:, :, 0]]
        return self.head.loss(online[0], target[1]) + self.head.loss(online[1], target[0])


class SelfDistilled(Taught):
    """Base of the methods that distil the teacher's class token into the student's through DINO's head.

    Source: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, eq. 1-2 and section 3.1.

    Args:
        backbone, data_preprocessor: As in `SelfSupervised`.
        projection: Arguments of `ProjectionHead`: prototypes, hidden, bottleneck.
        student_temperature, teacher_temperature, center_momentum: As in DINO.
        teacher_warmup: (temperature at the first step, steps) from which the teacher's temperature moves to `teacher_temperature`; see `Center`.
    """

    followed = ("backbone", "projection")

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        projection: dict,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
        teacher_warmup: tuple[float, int] | None = None,
    ):
        super().__init__(backbone, data_preprocessor)
        self.projection = ProjectionHead(self.backbone.feature_dim, **projection)
        self.center = Center(projection["prototypes"], teacher_temperature, center_momentum, teacher_warmup)
        self.student_temperature = student_temperature

    def another_center(self) -> Center:
        """A centre with the settings of the class tokens', for other logits."""
        center = self.center
        return Center(len(center.mean), center.final_temperature, center.momentum, center.warmup)

    def distil(self, student: Tensor, teacher: Tensor) -> Tensor:
        """DINO's loss of the student's features (V, B, D), global views first, against the teacher's (G, B, D): a scalar in nats."""
        with torch.no_grad():
            said = self.teacher.module[1](teacher)
        return self.distil_logits(self.projection(student), said, self.center)

    def distil_logits(self, student: Tensor, teacher: Tensor, center: Center) -> Tensor:
        """The same of logits (V, B, K) and (G, B, K); `center` is that of the teacher's."""
        return cross_view_entropy(center(teacher), student.float() / self.student_temperature)

    def exported(self) -> nn.Module:
        """The EMA backbone, which is the better one (DINO, section 5.1)."""
        return self.teacher.module[0]
