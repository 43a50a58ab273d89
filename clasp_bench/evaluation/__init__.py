"""Scores of the downstream tasks: plain functions on arrays, and the MMEngine metrics around them."""

from clasp_bench.evaluation.attribute import AttributeMetric, attribute_scores
from clasp_bench.evaluation.ranking import Ranking, rank
from clasp_bench.evaluation.reid import ReIDMetric

__all__ = ["AttributeMetric", "Ranking", "ReIDMetric", "attribute_scores", "rank"]
