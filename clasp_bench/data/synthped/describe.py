"""What a picture shows, in words and in PA-100K's attributes. An attribute is set only where its pixels are seen."""

import numpy as np

from clasp_bench.data.synthped import labels
from clasp_bench.data.synthped.labels import ATTRIBUTES
from clasp_bench.data.synthped.texture import Shown
from clasp_bench.data.synthped.wardrobe import Garment, Person

# Smallest share of a picture's samples at which a thing counts as seen (0.0015 is 12 pixels of 128 x 64).
SEEN = 0.0015
SEEN_GLASSES = 0.0006
_AGE = {"child": "AgeLess18", "adult": "Age18-60", "senior": "AgeOver60"}
_UPPER_PATTERN = {"stripes": "UpperStride", "logo": "UpperLogo", "plaid": "UpperPlaid", "splice": "UpperSplice"}
_LOWER = {"trousers": "Trousers", "jeans": "Trousers", "shorts": "Shorts", "skirt": "Skirt&Dress"}
_BAGS = (("HandBag", labels.HANDBAG), ("ShoulderBag", labels.SHOULDER_BAG), ("Backpack", labels.BACKPACK))


def attributes(person: Person, view: str, shown: np.ndarray, samples: int) -> list[int]:
    """The 26 attributes of one picture, 0 or 1, in `ATTRIBUTES`' order.

    Args:
        view: ``"Front"``, ``"Side"`` or ``"Back"``.
        shown: `render.Picture.shown`.
        samples: All samples of the picture.
    """
    share = shown / samples
    area = share.sum(1)
    given = {_AGE[person.age], view}
    if person.female:
        given.add("Female")
    if area[labels.HAT] > SEEN:
        given.add("Hat")
    if area[labels.GLASSES] > SEEN_GLASSES:
        given.add("Glasses")
    given |= {name for name, label in _BAGS if area[label] > SEEN}
    if area[labels.HELD] > SEEN:
        given.add("HoldObjectsInFront")
    outer = person.coat or person.upper
    given.add("ShortSleeve" if outer.sleeve == "short" else "LongSleeve")
    outer_labels = [labels.COAT] if person.coat else [labels.UPPER, labels.DRESS]
    if outer.pattern in _UPPER_PATTERN and share[outer_labels, Shown.PATTERN].sum() > SEEN:
        given.add(_UPPER_PATTERN[outer.pattern])
    if person.coat:
        given.add("LongCoat")
    lower = person.lower
    if lower is not None and area[[labels.PANTS, labels.SKIRT]].sum() > SEEN:
        given.add(_LOWER[lower.kind])
        if lower.pattern != "plain" and share[[labels.PANTS, labels.SKIRT], Shown.PATTERN].sum() > SEEN:
            given.add("LowerStripe" if lower.pattern == "stripe" else "LowerPattern")
    if lower is None and area[labels.DRESS] > SEEN:
        given.add("Skirt&Dress")
    if person.shoes.kind == "boots" and area[[labels.LEFT_SHOE, labels.RIGHT_SHOE]].sum() > SEEN:
        given.add("boots")
    return [int(name in given) for name in ATTRIBUTES]


def _garment_words(garment: Garment) -> str:
    pattern = {
        "plain": "", "stripes": "striped ", "stripe": "striped ", "plaid": "plaid ", "dots": "dotted ",
        "camouflage": "camouflage ", "logo": "", "splice": "",
    }[garment.pattern]  # fmt: skip
    tail = {"logo": " with a logo", "splice": f" with {garment.colours[-1]} panels"}.get(garment.pattern, "")
    colours = garment.colours[0]
    if garment.pattern in ("stripes", "stripe", "plaid", "dots"):
        colours += f" and {garment.colours[1]}"
    return f"{colours} {pattern}{garment.kind}{tail}"


def _article(words: str) -> str:
    return words if words.split()[-1] in ("trousers", "shorts", "jeans", "boots", "shoes") else f"a {words}"


def caption(person: Person, set_attributes: list[int], pose: str) -> str:
    """One sentence about what can be seen."""
    given = {name for name, value in zip(ATTRIBUTES, set_attributes, strict=True) if value}
    who = {"child": ("girl", "boy"), "adult": ("woman", "man"), "senior": ("elderly woman", "elderly man")}[person.age][
        not person.female
    ]
    hair = "bald" if person.hair == "bald" else f"with {person.hair_colour} {person.hair} hair"
    worn = [_garment_words(person.coat or person.upper).replace("long coat", "coat")]
    if person.coat:
        worn[0] = worn[0].replace("coat", "long coat")
    if person.lower is not None and given & {"Trousers", "Shorts", "Skirt&Dress"}:
        worn.append(_article(_garment_words(person.lower)))
    worn[0] = _article(worn[0])
    if "boots" in given:
        worn.append(f"{person.shoes.colours[0]} boots")
    if "Hat" in given:
        worn.append(f"a {person.hat.colours[0]} {person.hat.kind}")
    if "Glasses" in given:
        worn.append(person.glasses)
    carried = [
        f"a {person.bags[kind].colours[0]} {kind}"
        for kind, name in (("backpack", "Backpack"), ("shoulder bag", "ShoulderBag"), ("handbag", "HandBag"))
        if name in given
    ]
    if "HoldObjectsInFront" in given:
        carried.append(f"a {person.held.colours[0]} {person.held.kind}")
    seen = {"Front": "from the front", "Side": "from the side", "Back": "from behind"}[
        next(v for v in ("Front", "Side", "Back") if v in given)
    ]
    article = "an" if who.startswith("e") else "a"
    listing = ", ".join(worn[:-1]) + f" and {worn[-1]}" if len(worn) > 1 else worn[0]
    text = f"{article} {who} {hair} wearing {listing}"
    if carried:
        text += f", carrying {' and '.join(carried)}"
    return f"{text}, {'walking' if pose == 'walk' else 'standing'}, seen {seen}"


def wardrobe_record(person: Person) -> dict:
    """The identity's clothes and things as plain values, whether or not a picture shows them."""

    def plain(garment: Garment | None) -> dict | None:
        if garment is None:
            return None
        return {
            "kind": garment.kind,
            "colours": list(garment.colours),
            "pattern": garment.pattern,
            "sleeve": garment.sleeve,
        }

    return {
        "age": person.age, "female": person.female, "hair": person.hair, "hair_colour": person.hair_colour, "beard": person.beard,
        "upper": plain(person.upper), "coat": plain(person.coat), "lower": plain(person.lower), "shoes": plain(person.shoes),
        "hat": plain(person.hat), "glasses": person.glasses, "bags": {kind: plain(bag) for kind, bag in person.bags.items()},
        "held": plain(person.held),
    }  # fmt: skip
