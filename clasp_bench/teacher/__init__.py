"""The teacher: a CLIP that labels people's parts and attributes, and the store that keeps the labels.

Reading labels (`LabelStore`) and vocabularies needs no torch; `clip`, `dense` and `labeller` are imported by name where labels are made.
"""

from clasp_bench.teacher.store import LabelRows, LabelStore, StoreWriter
from clasp_bench.teacher.vocabulary import Vocabulary, load_vocabulary

__all__ = ["LabelRows", "LabelStore", "StoreWriter", "Vocabulary", "load_vocabulary"]
