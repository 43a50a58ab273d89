"""The attribute names of the pedestrian data sets, as their official label files spell them, to check that a vocabulary maps real names."""

from clasp_bench.data.label_sets import ATTRIBUTES as PA100K
from clasp_bench.data.layouts.peta import SCORED as PETA

RAPV2 = (
    "hs-BaldHead", "hs-LongHair", "hs-BlackHair", "hs-Hat", "hs-Glasses",
    "ub-Shirt", "ub-Sweater", "ub-Vest", "ub-TShirt", "ub-Cotton", "ub-Jacket", "ub-SuitUp", "ub-Tight", "ub-ShortSleeve",
    "ub-Others",
    "lb-LongTrousers", "lb-Skirt", "lb-ShortSkirt", "lb-Dress", "lb-Jeans", "lb-TightTrousers",
    "shoes-Leather", "shoes-Sports", "shoes-Boots", "shoes-Cloth", "shoes-Casual", "shoes-Other",
    "attachment-Backpack", "attachment-ShoulderBag", "attachment-HandBag", "attachment-Box", "attachment-PlasticBag",
    "attachment-PaperBag", "attachment-HandTrunk", "attachment-Other",
    "AgeLess16", "Age17-30", "Age31-45", "Age46-60", "Femal", "BodyFat", "BodyNormal", "BodyThin", "Customer", "Employee",
    "action-Calling", "action-Talking", "action-Gathering", "action-Holding", "action-Pushing", "action-Pulling",
    "action-CarryingByArm", "action-CarryingByHand", "action-Other",
)  # fmt: skip
"""The 54 that are evaluated ("Femal" is the file's spelling). Li et al., "A Richly Annotated Pedestrian Dataset", TIP 2019."""

DATASETS = {"pa100k": tuple(PA100K), "peta": PETA, "rapv2": RAPV2}
