"""Scores of the downstream tasks: plain functions on arrays, and the MMEngine metrics around them."""

from clasp_bench.evaluation.attribute import AttributeMetric, attribute_scores
from clasp_bench.evaluation.crowd import CityPersonsMetric
from clasp_bench.evaluation.ranking import Ranking, rank
from clasp_bench.evaluation.reid import ReIDMetric
from clasp_bench.evaluation.rerank import KReciprocal

__all__ = ["AttributeMetric", "CityPersonsMetric", "KReciprocal", "Ranking", "ReIDMetric", "attribute_scores", "rank"]
