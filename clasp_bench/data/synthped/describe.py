"""What a picture shows, in words and in PA-100K's attributes. An attribute is set only where its pixels are seen."""

import numpy as np

from clasp_bench.data.label_sets import ATTRIBUTES
from clasp_bench.data.synthped import labels
from clasp_bench.data.synthped.texture import Shown
from clasp_bench.data.synthped.wardrobe import Garment, Person

# Smallest share of a picture's samples at which a thing counts as seen (0.0015 is 12 pixels of 128 x 64). Glasses are small by
# nature; a parcel's corners beside a back and a stripe in a fold would tell nobody what they are.
SEEN = 0.0015
SEEN_GLASSES = 0.0008
SEEN_HELD = 0.004
SEEN_PATTERN = 0.003
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
    if area[labels.HELD] > SEEN_HELD:
        given.add("HoldObjectsInFront")
    outer = person.coat or person.upper
    outer_labels = [labels.COAT] if person.coat else [labels.UPPER, labels.DRESS]
    if area[outer_labels].sum() > SEEN:
        given.add("LongSleeve" if outer.sleeve == "long" else "ShortSleeve")
        if person.coat:
            given.add("LongCoat")
    least = SEEN if outer.pattern == "logo" else SEEN_PATTERN
    if outer.pattern in _UPPER_PATTERN and share[outer_labels, Shown.PATTERN].sum() > least:
        given.add(_UPPER_PATTERN[outer.pattern])
    lower = person.lower
    if lower is not None and area[[labels.PANTS, labels.SKIRT]].sum() > SEEN:
        given.add(_LOWER[lower.kind])
        if lower.pattern != "plain" and share[[labels.PANTS, labels.SKIRT], Shown.PATTERN].sum() > SEEN_PATTERN:
            given.add("LowerStripe" if lower.pattern == "stripe" else "LowerPattern")
    if lower is None and area[labels.DRESS] > SEEN:
        given.add("Skirt&Dress")
    if person.shoes.kind == "boots" and share[[labels.LEFT_SHOE, labels.RIGHT_SHOE], Shown.PATTERN].sum() > SEEN:
        given.add("boots")
    return [int(name in given) for name in ATTRIBUTES]


_WHO = {
    "child": (("girl", "young girl", "schoolgirl"), ("boy", "young boy", "schoolboy")),
    "adult": (("woman", "lady", "female pedestrian"), ("man", "guy", "male pedestrian")),
    "senior": (("elderly woman", "old lady", "old woman"), ("elderly man", "old man", "old gentleman")),
}  # by female, then male; the first is the plain word
_DOING = {
    "walk": ("walking", "walks along", "strides ahead"), "run": ("running", "runs", "jogs along"),
    "stand": ("standing", "stands still", "waits"), "carry": ("with both arms in front", "holds something before the body",
                                                             "carries a load in both arms"),
    "phone": ("using a phone", "holds a phone", "is on the phone"), "sit": ("sitting", "sits on a block", "is seated"),
    "lean": ("leaning back", "leans back", "leans against something behind"),
}  # fmt: skip
_SEEN_FROM = {
    "Front": ("from the front", "facing the camera", "turned towards us"), "Side": ("from the side", "in profile", "turned to the side"),
    "Back": ("from behind", "with the back to the camera", "turned away from us"),
}  # fmt: skip
_HAIR = {"short": "short", "cropped": "cropped", "bob": "chin-length", "long": "long", "curly": "curly"}
_PLURAL = ("trousers", "shorts", "jeans", "boots", "shoes", "glasses", "sunglasses")


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
    if words.split()[-1] in _PLURAL:
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _list(words: list[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else words[0]


def _hair_words(person: Person) -> str:
    if person.hair == "bald":
        return "a bald head"
    if person.hair == "balding":
        return f"a bald crown with {person.hair_colour} hair around it"
    if person.hair in ("ponytail", "bun"):
        return f"{_article(person.hair_colour)} {person.hair}"
    return f"{_HAIR[person.hair]} {person.hair_colour} hair"


def _worn(person: Person, given: set[str]) -> list[str]:
    """What is seen on the body, from top to bottom."""
    outer = person.coat or person.upper
    top = _garment_words(outer).replace("coat", "long coat")
    if outer.sleeve == "none":
        top = f"sleeveless {top}"
    elif outer.kind in ("shirt", "dress"):
        top = f"{outer.sleeve}-sleeved {top}"
    worn = [_article(top)]
    if person.lower is not None and given & {"Trousers", "Shorts", "Skirt&Dress"}:
        worn.append(_article(_garment_words(person.lower)))
    if "boots" in given:
        worn.append(f"{person.shoes.colours[0]} boots")
    if "Hat" in given:
        worn.append(_article(f"{person.hat.colours[0]} {person.hat.kind}"))
    if "Glasses" in given:
        worn.append(person.glasses)
    return worn


def _carried(person: Person, given: set[str]) -> list[str]:
    carried = [
        _article(f"{person.bags[kind].colours[0]} {kind}")
        for kind, name in (("backpack", "Backpack"), ("shoulder bag", "ShoulderBag"), ("handbag", "HandBag"))
        if name in given
    ]
    if "HoldObjectsInFront" in given:
        carried.append(_article(f"{person.held.colours[0]} {person.held.kind}"))
    return carried


def caption(person: Person, set_attributes: list[int], pose: str) -> str:
    """One plain sentence about what can be seen: who, hair, clothes, things, pose and side."""
    given = {name for name, value in zip(ATTRIBUTES, set_attributes, strict=True) if value}
    who = _WHO[person.age][not person.female][0]
    view = next(view for view in _SEEN_FROM if view in given)
    text = f"{_article(who)} with {_hair_words(person)} wearing {_list(_worn(person, given))}"
    if carried := _carried(person, given):
        text += f", carrying {_list(carried)}"
    return f"{text}, {_DOING[pose][0]}, seen {_SEEN_FROM[view][0]}"


def captions(person: Person, set_attributes: list[int], pose: str, rng: np.random.Generator) -> tuple[str, str]:
    """Two sentences, as CUHK-PEDES has two a picture: `caption`, and one whose words and order `rng` chooses."""
    given = {name for name, value in zip(ATTRIBUTES, set_attributes, strict=True) if value}

    def pick(words):
        return words[rng.integers(len(words))]

    who, view = pick(_WHO[person.age][not person.female]), next(view for view in _SEEN_FROM if view in given)
    she = "she" if person.female else "he"
    hair, worn, doing = _hair_words(person), _list(_worn(person, given)), pick(_DOING[pose][1:])
    seen = pick(_SEEN_FROM[view][1:])
    text = pick((
        f"the {who} {seen} has {hair} and wears {worn}; {she} {doing}",
        f"{_article(who)} {doing}, {seen}, dressed in {worn}; {she} has {hair}",
        f"dressed in {worn}, {_article(who)} with {hair} {doing}, {seen}",
        f"we see {_article(who)} {seen}: {she} has {hair}, wears {worn} and {doing}",
    ))  # fmt: skip
    if carried := _carried(person, given):
        text += pick(
            (f", with {_list(carried)}", f" and has {_list(carried)} along", f"; {she} carries {_list(carried)}")
        )
    return caption(person, set_attributes, pose), text


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
        "held": plain(person.held), "socks": plain(person.socks), "scarf": plain(person.scarf), "gloves": plain(person.gloves),
    }  # fmt: skip
