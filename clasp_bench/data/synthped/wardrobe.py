"""Who a person is: body, skin, hair, clothes and what they carry, drawn from (seed, person)."""

from dataclasses import dataclass, field

import numpy as np

from clasp_bench.data.synthped.seeds import stream

PALETTE = {
    "black": (28, 28, 30), "white": (232, 232, 228), "grey": (128, 130, 132), "red": (190, 30, 38),
    "orange": (232, 120, 30), "yellow": (236, 204, 50), "green": (44, 130, 62), "blue": (40, 96, 196),
    "navy": (28, 38, 84), "purple": (116, 58, 150), "pink": (236, 142, 172), "brown": (104, 66, 40),
    "beige": (206, 184, 146), "turquoise": (44, 172, 172),
}  # fmt: skip
HAIR_COLOURS = {
    "black": (22, 19, 18),
    "brown": (72, 46, 30),
    "blond": (196, 158, 92),
    "red": (142, 66, 30),
    "grey": (150, 148, 146),
    "white": (214, 212, 206),
}
SKIN_TONES = ((238, 200, 176), (226, 180, 150), (206, 154, 118), (176, 122, 86), (134, 88, 60), (88, 58, 42))

SLEEVES = {"none": 0.03, "short": 0.36, "long": 0.97}  # where along the arm a sleeve ends, see BodyModel.along_arm
UPPER_PATTERNS = {"plain": 0.36, "stripes": 0.17, "logo": 0.17, "plaid": 0.14, "splice": 0.16}
LOWERS_OF = {
    True: {"trousers": 0.5, "shorts": 0.22, "skirt": 0.28},
    False: {"trousers": 0.7, "shorts": 0.3},
}  # by female
BAGS_OF = {
    True: {"nothing": 0.36, "backpack": 0.17, "shoulder bag": 0.22, "handbag": 0.25},
    False: {"nothing": 0.44, "backpack": 0.26, "shoulder bag": 0.18, "handbag": 0.12},
}
LOWER_PATTERNS = {"plain": 0.58, "stripe": 0.19, "dots": 0.07, "camouflage": 0.08, "plaid": 0.08}


@dataclass
class Garment:
    """One piece of clothing.

    Attributes:
        kind: ``"t-shirt"``, ``"shirt"``, ``"sweater"``, ``"jacket"``, ``"coat"``, ``"dress"``, ``"trousers"``, ``"shorts"``, ``"skirt"``,
            ``"shoes"``, ``"boots"``, ``"cap"``, ``"beanie"``, ``"brimmed hat"``, ``"backpack"`` ...
        colours: Names in `PALETTE`, the main one first.
        rgb: The same as exact linear RGB, which no other universe repeats.
        pattern: ``"plain"``, ``"stripes"`` ...
        scale, form: The pattern's period in metres and variant.
        length: Where it ends: sleeve for tops, canonical height of the hem for the others.
    """

    kind: str
    colours: tuple[str, ...]
    rgb: tuple
    pattern: str = "plain"
    scale: float = 0.06
    form: float = 0.0
    length: float = 0.0
    sleeve: str = ""
    loose: float = 0.5


@dataclass
class Person:
    """An identity. `phenotype` goes to `BodyModel.shape`."""

    index: int
    female: bool
    age: str
    phenotype: dict
    skin: tuple
    hair: str
    hair_colour: str
    hair_rgb: tuple
    beard: bool
    upper: Garment
    coat: Garment | None
    lower: Garment | None
    shoes: Garment
    hat: Garment | None = None
    glasses: str = ""
    bags: dict = field(default_factory=dict)
    held: Garment | None = None
    socks: Garment | None = None
    scarf: Garment | None = None
    gloves: Garment | None = None


def linear(rgb) -> np.ndarray:
    """sRGB in [0, 255] to linear light."""
    return (np.clip(np.asarray(rgb, float), 0, 255) / 255) ** 2.2


# How often a colour is the main one: of tops and bags, of what is worn below, of shoes, of long coats.
COLOURS_OF = {
    "upper": {"black": 2.2, "white": 1.8, "grey": 1.4, "red": 1.4, "orange": 0.6, "yellow": 0.7, "green": 1.0, "blue": 1.4,
              "navy": 1.3, "purple": 0.6, "pink": 0.8, "brown": 0.7, "beige": 1.0, "turquoise": 0.6},
    "lower": {"black": 3.0, "white": 0.6, "grey": 1.8, "red": 0.4, "green": 0.5, "blue": 1.0, "navy": 1.8, "brown": 1.0,
              "beige": 1.3, "pink": 0.3, "purple": 0.2, "yellow": 0.15, "orange": 0.15, "turquoise": 0.15},
    "shoes": {"black": 3.0, "white": 1.6, "brown": 1.6, "grey": 0.9, "red": 0.4, "blue": 0.4, "navy": 0.5, "beige": 0.4, "green": 0.15,
              "pink": 0.2},
    "coat": {"black": 2.0, "grey": 1.4, "beige": 1.5, "navy": 1.3, "brown": 1.2, "red": 0.7, "green": 0.5, "blue": 0.5, "white": 0.4,
             "pink": 0.3, "purple": 0.2},
}  # fmt: skip


def _shade(rng: np.random.Generator, rgb, spread: float = 16.0) -> tuple:
    shaded = np.asarray(rgb) + rng.normal(0, spread) + rng.normal(0, spread * 0.5, 3)
    return tuple(linear(255 - np.abs(255 - np.abs(shaded))))  # reflected, not clipped: no two share a black


def _choose(rng: np.random.Generator, weights: dict) -> str:
    names, p = list(weights), np.array(list(weights.values()), float)
    return names[rng.choice(len(names), p=p / p.sum())]


def _colours(rng: np.random.Generator, count: int, worn: str) -> tuple[tuple[str, ...], tuple]:
    """Distinct colours of clearly different lightness, the main one first, as usual for what is `worn`."""
    names = list(PALETTE)
    picked = [_choose(rng, COLOURS_OF[worn])]
    while len(picked) < count:
        name = names[rng.integers(len(names))]
        contrast = min(np.abs(np.subtract(PALETTE[name], PALETTE[other])).max() for other in picked)
        brightness = abs(np.mean(PALETTE[name]) - np.mean(PALETTE[picked[0]]))
        if name not in picked and contrast > 70 and (len(picked) > 1 or brightness > 60):
            picked.append(name)
    return tuple(picked), tuple(_shade(rng, PALETTE[name]) for name in picked)


def _garment(rng: np.random.Generator, kind: str, worn: str, pattern: str = "plain", **fields) -> Garment:
    colours, rgb = _colours(rng, {"plain": 1, "stripes": 2, "stripe": 2, "dots": 2}.get(pattern, 3), worn)
    return Garment(kind, colours, rgb, pattern, **fields)


def _upper(rng: np.random.Generator, kind: str, sleeve: str) -> Garment:
    pattern = _choose(rng, UPPER_PATTERNS)
    scale = {"stripes": rng.uniform(0.07, 0.13), "plaid": rng.uniform(0.085, 0.13)}.get(pattern, 0.06)
    form = rng.uniform(0.35, 0.55) if pattern == "stripes" else float(rng.integers(4))
    hem = rng.uniform(0.17, 0.2) if kind == "jacket" else rng.uniform(0.11, 0.16)
    return _garment(
        rng, kind, "upper", pattern, scale=scale, form=form, length=hem, sleeve=sleeve, loose=rng.uniform(0.2, 1.0)
    )


def _lower(rng: np.random.Generator, kind: str) -> Garment:
    pattern = _choose(rng, LOWER_PATTERNS)
    hem = {"trousers": -0.765, "shorts": rng.uniform(-0.27, -0.12), "skirt": rng.uniform(-0.5, -0.15)}[kind]
    scale = {
        "dots": rng.uniform(0.085, 0.11), "camouflage": 0.09, "plaid": rng.uniform(0.1, 0.14), "stripe": rng.uniform(0.08, 0.12),
    }.get(pattern, 0.06)  # fmt: skip
    garment = _garment(
        rng, kind, "lower", pattern, scale=scale, form=float(rng.integers(2)), length=hem, loose=rng.uniform(0.1, 1.0)
    )
    if pattern == "camouflage":
        garment.colours = ("green", "brown", "beige") if garment.form else ("grey", "black", "white")
        garment.rgb = tuple(_shade(rng, np.multiply(PALETTE[name], 0.8), 8) for name in garment.colours)
    elif kind == "trousers" and pattern == "plain" and rng.random() < 0.4:
        garment.kind, garment.colours, garment.rgb = "jeans", ("blue",), (_shade(rng, (62, 82, 122), 14),)
    return garment


def draw_person(seed: int, index: int) -> Person:
    """The identity number `index` of universe `seed`."""
    rng = stream(seed, "person", index)
    female = bool(rng.random() < 0.5)
    age = _choose(rng, {"adult": 0.62, "child": 0.19, "senior": 0.19})
    years = {"child": rng.uniform(0.10, 0.40), "adult": rng.uniform(0.62, 0.76), "senior": rng.uniform(0.95, 1.0)}[age]
    gender = (0.85 + 0.15 * rng.random()) if female else 0.15 * rng.random()
    phenotype = dict(
        gender=gender, age=years, muscle=float(np.clip(rng.normal(0.5, 0.2), 0.08, 0.95)),
        weight=float(np.clip(rng.normal(0.52, 0.23), 0.05, 1.0)), height=float(np.clip(rng.normal(0.5, 0.19), 0.08, 0.92)),
        proportions=float(rng.uniform(0.3, 0.8)),
    )  # fmt: skip
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    low = int(tone)
    skin = tuple(linear(np.array(SKIN_TONES[low]) * (1 - tone + low) + np.array(SKIN_TONES[low + 1]) * (tone - low)))

    if age == "senior":
        hair_colour = _choose(rng, {"grey": 0.5, "white": 0.5})
    else:
        hair_colour = _choose(rng, {"black": 0.4, "brown": 0.35, "blond": 0.17, "red": 0.08})
    if age == "senior":
        styles = (
            {"bob": 0.4, "bun": 0.25, "curly": 0.35}
            if female
            else {"short": 0.3, "cropped": 0.1, "bald": 0.2, "balding": 0.4}
        )
    elif female:
        styles = {"long": 0.37, "ponytail": 0.22, "bun": 0.12, "bob": 0.21, "curly": 0.08}
    else:
        styles = {"short": 0.66, "cropped": 0.2, "curly": 0.08, "bob": 0.03, "bald": 0.03 if age == "adult" else 0.0}
    hair = _choose(rng, styles)

    if female and rng.random() < 0.24:
        sleeve = _choose(rng, {"none": 0.3, "short": 0.35, "long": 0.35})
        upper, lower = _upper(rng, "dress", sleeve), None
        upper.length = rng.uniform(-0.55, -0.15)
    else:
        sleeve = _choose(rng, {"short": 0.5, "long": 0.5})
        tops = (
            {"t-shirt": 0.75, "shirt": 0.25} if sleeve == "short" else {"shirt": 0.38, "sweater": 0.32, "jacket": 0.3}
        )
        upper = _upper(rng, _choose(rng, tops), sleeve)
        lower = _lower(rng, _choose(rng, LOWERS_OF[female]))
    coat = None
    if rng.random() < 0.17:
        pattern = _choose(rng, {"plain": 0.8, "plaid": 0.2})
        coat = _garment(
            rng, "coat", "coat", pattern, length=rng.uniform(-0.5, -0.25), sleeve="long", loose=rng.uniform(0.4, 1.0),
            form=rng.random(), scale=0.1,
        )  # fmt: skip
    boots = rng.random() < (0.3 if female else 0.18)
    length = rng.uniform(-0.52, -0.42) if boots else -0.735
    shoes = _garment(rng, "boots" if boots else "shoes", "shoes", form=float(rng.random() < 0.4), length=length)
    person = Person(
        index, female, age, phenotype, skin, hair, hair_colour, _shade(rng, HAIR_COLOURS[hair_colour], 8),
        not female and age != "child" and rng.random() < 0.3, upper, coat, lower, shoes,
    )  # fmt: skip
    if rng.random() < 0.24:
        person.hat = _garment(rng, _choose(rng, {"cap": 0.45, "beanie": 0.3, "brimmed hat": 0.25}), "upper")
    if rng.random() < 0.24:
        person.glasses = "sunglasses" if rng.random() < 0.6 else "glasses"
    carried = _choose(rng, BAGS_OF[female])
    if carried != "nothing":
        person.bags[carried] = _garment(rng, carried, "upper", form=float(rng.integers(2)), loose=rng.uniform(0, 1))
    if carried != "handbag" and rng.random() < 0.15:
        colour = _choose(rng, {"beige": 0.35, "brown": 0.25, "white": 0.2, "red": 0.1, "blue": 0.1})
        person.held = Garment(
            _choose(rng, {"box": 0.45, "parcel": 0.25, "paper bag": 0.3}), (colour,), (_shade(rng, PALETTE[colour]),)
        )
    bare_legs = lower is None or lower.kind in ("skirt", "shorts")
    if bare_legs and not boots and rng.random() < 0.45:
        person.socks = _garment(rng, "socks", "shoes", length=rng.uniform(-0.69, -0.50))
    if coat is not None or upper.kind == "jacket":
        if rng.random() < 0.35:
            person.scarf = _garment(rng, "scarf", "upper", form=float(rng.integers(3)))
        if rng.random() < 0.25:
            person.gloves = _garment(rng, "gloves", "shoes")
    return person
