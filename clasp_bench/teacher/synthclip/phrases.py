"""Noisy words about people and their parts, as a careless annotator would write them.

What is said of an image or a region is a set of facts (short strings such as ``Hat`` or ``upper_colour=red``). A text says some of them; it fits
every image or region whose own facts include all that it says.
"""

import random

import numpy as np

COLOURS = (
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "navy", "purple", "pink", "brown", "beige",
    "turquoise",
)  # fmt: skip

# Group of facts that exclude each other: fact to the phrases that say it. PA-100K's names where there is one.
IMAGE_PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "gender": {
        "Female": ("a woman", "a female person", "a lady", "a girl or woman"),
        "not Female": ("a man", "a male person", "a guy", "a boy or man"),
    },
    "age": {
        "AgeLess18": ("a child", "a kid", "a young person under eighteen"),
        "Age18-60": ("an adult", "a grown person", "a person of middle age"),
        "AgeOver60": ("an old person", "an elderly person", "an elderly person with grey hair", "a senior"),
    },
    "view": {
        "Front": ("a person seen from the front", "facing the camera", "front view"),
        "Side": ("a person seen from the side", "in profile", "side view"),
        "Back": ("a person seen from behind", "back view", "a person walking away"),
    },
    "hat": {
        "Hat": ("a person wearing a hat", "with a hat", "a cap on the head"),
        "not Hat": ("a person with a bare head", "a person without a hat"),
    },
    "glasses": {
        "Glasses": ("a person wearing glasses", "with glasses", "sunglasses"),
        "not Glasses": ("a person without glasses", "no glasses"),
    },
    "handbag": {
        "HandBag": ("a person carrying a handbag", "with a handbag", "a bag in the hand"),
        "not HandBag": ("a person without a handbag",),
    },
    "shoulder bag": {
        "ShoulderBag": ("a person with a shoulder bag", "a bag on the shoulder", "with a shoulder bag"),
        "not ShoulderBag": ("a person without a shoulder bag",),
    },
    "backpack": {
        "Backpack": ("a person wearing a backpack", "with a backpack", "a rucksack"),
        "not Backpack": ("a person without a backpack",),
    },
    "hands": {
        "HoldObjectsInFront": ("a person holding an object in front", "holding a box", "carrying something in front"),
        "not HoldObjectsInFront": ("a person with empty hands",),
    },
    "sleeves": {
        "ShortSleeve": ("short sleeves", "a person with short sleeves", "a t-shirt"),
        "LongSleeve": ("long sleeves", "a person with long sleeves"),
    },
    "upper pattern": {
        "plain upper": ("a plain top", "a top without a pattern"),
        "UpperStride": ("a striped top", "a top with stripes"),
        "UpperLogo": ("a top with a logo", "a print on the chest"),
        "UpperPlaid": ("a plaid top", "a checked shirt"),
        "UpperSplice": ("a top of two colours", "a spliced top"),
    },
    "lower pattern": {
        "plain lower": ("plain trousers", "a plain skirt", "plain below"),
        "LowerStripe": ("striped trousers", "a striped skirt", "stripes below"),
        "LowerPattern": ("patterned trousers", "a patterned skirt", "a pattern below"),
    },
    "coat": {
        "LongCoat": ("a person in a long coat", "a long coat", "a coat"),
        "not LongCoat": ("a person without a coat",),
    },
    "lower garment": {
        "Trousers": ("trousers", "a person in trousers", "long trousers", "jeans"),
        "Shorts": ("shorts", "a person in shorts", "short trousers"),
        "Skirt&Dress": ("a skirt", "a dress", "a person in a skirt or dress"),
    },
    "footwear": {
        "boots": ("boots", "a person in boots"),
        "not boots": ("shoes", "a person in shoes"),
    },
    "upper colour": {f"upper_colour={c}": (f"a {c} top", f"a {c} shirt", f"{c} above") for c in COLOURS},
    "lower colour": {f"lower_colour={c}": (f"{c} trousers", f"a {c} skirt", f"{c} below") for c in COLOURS},
}

# Facts of regions: what part it is, and what else is seen there.
REGION_PHRASES: dict[str, tuple[str, ...]] = {
    "background": (
        "the background",
        "the street",
        "the ground",
        "a wall",
        "the sky",
        "a building",
        "nothing but background",
    ),
    "head": ("the head of a person", "a head", "the head"),
    "face": ("the face of a person", "a face"),
    "hair": ("the hair of a person", "hair"),
    "hat": ("a hat on the head", "a hat", "a cap"),
    "upper body": ("the upper body of a person", "the torso of a person", "a shirt", "a top", "clothes on the chest"),
    "dress": ("a dress",),
    "coat": ("a coat", "a long coat"),
    "lower body": ("the lower body of a person", "the hips and thighs", "clothes below the belt"),
    "trousers": ("trousers", "long trousers", "jeans"),
    "shorts": ("shorts", "short trousers"),
    "skirt": ("a skirt",),
    "arms": ("the arms of a person", "an arm", "bare arms", "the hands of a person", "a hand"),
    "legs": ("the bare legs of a person", "a bare leg", "bare knees and calves", "bare legs"),
    "feet": ("the feet of a person", "shoes", "a foot", "footwear"),
    "boots": ("boots", "a boot"),
}
# Groups of image facts that are also seen in a region of a part.
SEEN_IN: dict[str, tuple[str, ...]] = {
    "head": ("hat", "glasses", "gender", "age", "view"),
    "upper body": ("upper colour", "upper pattern", "sleeves", "coat", "backpack", "shoulder bag", "view"),
    "lower body": ("lower colour", "lower pattern", "lower garment"),
    "arms": ("sleeves",),
    "feet": ("footwear",),
}

GROUPS = tuple(IMAGE_PHRASES)
WIDEST = max(map(len, IMAGE_PHRASES.values()))
# Facts by number: image fact i of group g is g * WIDEST + i, and after all of those come the facts of regions. (groups, WIDEST) bool: which exist
EXISTS = np.array([[index < len(facts) for index in range(WIDEST)] for facts in IMAGE_PHRASES.values()])
PARTS_FROM = EXISTS.size
FACTS = PARTS_FROM + len(REGION_PHRASES)
IMAGE_WORDS = {
    group * WIDEST + index: words
    for group, facts in enumerate(IMAGE_PHRASES.values())
    for index, words in enumerate(facts.values())
}
# How facts are said of a region; boots have words of their own there
REGION_WORDS = {
    group * WIDEST + index: REGION_PHRASES.get(fact, words)
    for group, facts in enumerate(IMAGE_PHRASES.values())
    for index, (fact, words) in enumerate(facts.items())
} | {PARTS_FROM + index: words for index, words in enumerate(REGION_PHRASES.values())}
FACT_PHRASES = REGION_PHRASES | {fact: words for facts in IMAGE_PHRASES.values() for fact, words in facts.items()}


def blur(words: str, rng: random.Random, dropped: float) -> str:
    """Leave out each word with probability `dropped`, but not all of them."""
    kept = [word for word in words.split() if rng.random() >= dropped]
    return " ".join(kept) if kept else words


def careless(facts: np.ndarray, rng: np.random.Generator, left_out: float, wrong: float) -> np.ndarray:
    """What an annotator notes of images: some facts left out, some wrong.

    Args:
        facts: (B, groups) index of the fact in its group, -1 where there is none; so is what is returned.
    """
    guess = (rng.random(facts.shape) * EXISTS.sum(axis=1)).astype(int)
    noted = np.where(rng.random(facts.shape) < wrong, guess, facts)
    return np.where((facts < 0) | (rng.random(facts.shape) < left_out), -1, noted)
