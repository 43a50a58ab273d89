"""CUHK03-NP: CUHK03 by its new protocol, in Market-1501's folders, once with boxes drawn by hand and once with
detected ones.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, and the table
beside its code (github.com/zhunzhong07/person-re-ranking, CUHK03-NP).
``cuhk03-np/{detected,labeled}/{bounding_box_train,query,bounding_box_test}``, names such as ``0001_c1_12.png``; two
cameras, 767 people to train on and 700 to test on. The two sets of boxes give different figures, so they are two
versions: the folder's name says which, or else the number of training photos.
"""

import re
from pathlib import Path
from typing import ClassVar

from clasp_bench.data.layouts.market1501 import FOLDERS, MarketStyle
from clasp_bench.errors import DataError


class CUHK03NPLayout(MarketStyle):
    """CUHK03-NP with one of its two sets of boxes: ``version`` is ``detected`` or ``labeled``."""

    name, title = "cuhk03np", "CUHK03-NP"
    first_name = re.compile(r"\d+_c\d_\d+\.png$")
    marks_junk = False  # people count from 1, and every photo is of one
    cameras = 2
    official: ClassVar = {
        "detected": {"train": 7365, "query": 1400, "gallery": 5332},
        "labeled": {"train": 7368, "query": 1400, "gallery": 5328},
    }

    def __init__(self, root: str | Path):
        super().__init__(root)
        self.version = self._version()

    def _version(self) -> str:
        named = [version for version in self.official if version in self.root.resolve().name.lower()]
        if len(named) == 1:
            return named[0]
        photos = sum(1 for _ in (self.root / FOLDERS["train"]).glob("*.png"))
        for version, counts in self.official.items():
            if counts["train"] == photos:
                return version
        raise DataError(
            f"{self.root}: is CUHK03-NP, but neither its name nor its {photos:,} training photos say whether its boxes are detected (7,365) "
            "or labeled (7,368); name the folder detected or labeled"
        )
