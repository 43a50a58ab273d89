"""Which anchors and proposals are people's where some regions are to be ignored."""

from mmdet.models.task_modules import MaxIoUAssigner
from mmdet.models.task_modules.assigners import AssignResult
from mmengine.structures import InstanceData

from clasp_bench.registry import TASK_UTILS


@TASK_UTILS.register_module()
class CrowdAssigner(MaxIoUAssigner):
    """mmdet's assignment by overlap, in which regions to ignore take background away and no people.

    Upstream a prior in such a region is nobody's, even one that fits a labelled person: who stands in a region that COCO marks as crowd, or overlaps
    one that CrowdHuman masks, could never be learnt.

    Args:
        ignore_iof_thr: A prior that is no person's is ignored if more than this share of it lies in one such region.
        **kwargs: As in `MaxIoUAssigner`.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs,
    ) -> AssignResult:
        """As in mmdet: `gt_inds` (priors,) is 1 and more for a person's priors, 0 for background, -1 for what is not asked for."""
        assigned = super().assign(pred_instances, gt_instances, None, **kwargs)
        if gt_instances_ignore is not None and len(gt_instances_ignore) and len(pred_instances):
            inside = self.iou_calculator(pred_instances.priors, gt_instances_ignore.bboxes, mode="iof").amax(1)
            assigned.gt_inds[(assigned.gt_inds == 0) & (inside > self.ignore_iof_thr)] = -1
        return assigned
