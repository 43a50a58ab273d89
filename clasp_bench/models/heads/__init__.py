"""Heads of the downstream tasks."""

from clasp_bench.models.heads.attribute import AttributeHead
from clasp_bench.models.heads.reid import BNNeckHead, batch_hard_triplet

__all__ = ["AttributeHead", "BNNeckHead", "batch_hard_triplet"]
