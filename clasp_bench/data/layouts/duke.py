"""DukeMTMC-reID and what was cut from it (Occluded-Duke, P-DukeMTMC): recognised, and refused.

Duke University took DukeMTMC down on 25 April 2019, because its making had departed from the study that its review
board had approved: people were filmed outdoors and published to all, without consent; the authors apologised to them
(The Chronicle, June 2019, dukechronicle.com). Names such as ``0001_c2_f0046182.jpg`` tell them.
"""

import re
from pathlib import Path

from clasp_bench.data.layouts.market1501 import MarketStyle
from clasp_bench.errors import DataError


class DukeLayout(MarketStyle):
    """Any data set of DukeMTMC's pictures. It cannot be opened."""

    name, title = "dukemtmc", "DukeMTMC-reID or Occluded-Duke"
    first_name = re.compile(r"\d+_c\d_f\d+")

    def __init__(self, root: str | Path):
        raise DataError(
            f"{root}: is DukeMTMC-reID or a part of it such as Occluded-Duke, which is not read here: it was withdrawn by its "
            "authors in 2019, as the people in it had been filmed outside the approved study and without their consent; use "
            "Market-1501, MSMT17 or CUHK03-NP"
        )
