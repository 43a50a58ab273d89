"""Market-1501 and what is written in its layout: person and camera are in the file name.

Source: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. ``0002_c1s1_000451_03.jpg`` is person 2 seen
by camera 1 in sequence 1, frame 451, detection 3. Person -1 is junk (a detection that is neither right nor wrong) and 0000 is
a distractor (a false detection); both stand in the gallery only.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clasp_bench.data.images import SUFFIXES
from clasp_bench.data.labelled import LabelledCrops, content_digest
from clasp_bench.errors import DataError
from clasp_bench.registry import DATASETS

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
JUNK, DISTRACTOR = -1, 0
HELD_OUT_EVERY = 5

_NAME = re.compile(r"(?P<person>-1|\d{4,})_c(?P<camera>\d+)(s\d+)?_\d+.*\.\w+")


@dataclass(frozen=True)
class Sightings:
    """Photos of one folder, sorted by name.

    Attributes:
        names: Relative to the data set's root, with the folder.
        person_ids: (N,) int64, -1 for junk, 0 for distractors.
        camera_ids: (N,) int64, from 1.
    """

    names: list[str]
    person_ids: np.ndarray
    camera_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def take(self, chosen: np.ndarray) -> "Sightings":
        """The sightings at `chosen`, indices or a mask."""
        return Sightings(
            list(np.asarray(self.names, dtype=object)[chosen]), self.person_ids[chosen], self.camera_ids[chosen]
        )

    def __add__(self, other: "Sightings") -> "Sightings":
        return Sightings(
            self.names + other.names,
            np.concatenate([self.person_ids, other.person_ids]),
            np.concatenate([self.camera_ids, other.camera_ids]),
        )


def read_market1501(root: str | Path) -> dict[str, Sightings]:
    """Read and check the three folders.

    Returns:
        ``train``, ``query`` and ``gallery``.
    Raises:
        DataError: a folder is missing or empty, a file name does not say person and camera, junk or distractors stand
            outside the gallery, or people of train are also in test.
    """
    root = Path(root)
    missing = [folder for folder in FOLDERS.values() if not (root / folder).is_dir()]
    if missing:
        raise DataError(
            f"{root}: is not laid out as Market-1501, {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            f"missing; give the folder that holds {', '.join(FOLDERS.values())}"
        )
    parts = {part: _read_folder(root, folder) for part, folder in FOLDERS.items()}
    for part in ("train", "query"):
        stray = np.flatnonzero(parts[part].person_ids <= DISTRACTOR)
        if len(stray):
            raise DataError(
                f"{root / parts[part].names[stray[0]]}: junk (-1) and distractors (0000) belong in "
                f"{FOLDERS['gallery']} only; move the {len(stray)} such files out of {FOLDERS[part]}"
            )
    for part in ("query", "gallery"):
        both = np.intersect1d(parts["train"].person_ids, parts[part].person_ids)
        if len(both):
            raise DataError(
                f"{root}: {len(both)} people of {FOLDERS['train']} (first {both[0]:04d}) are also in {FOLDERS[part]}, "
                "so test scores would flatter; the two must share nobody"
            )
    return parts


def _read_folder(root: Path, folder: str) -> Sightings:
    files = sorted(path.name for path in (root / folder).iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{root / folder}: holds no image; unpack the data set again")
    matches = [_NAME.fullmatch(file) for file in files]
    misnamed = [file for file, match in zip(files, matches, strict=True) if match is None]
    if misnamed:
        raise DataError(
            f"{root / folder / misnamed[0]}: the name does not say person and camera as 0002_c1s1_000451_03.jpg does"
            f"{f' ({len(misnamed)} such files)' if len(misnamed) > 1 else ''}; rename or remove it"
        )
    return Sightings(
        [f"{folder}/{file}" for file in files],
        np.array([int(match["person"]) for match in matches], dtype=np.int64),
        np.array([int(match["camera"]) for match in matches], dtype=np.int64),
    )


def hold_out(train: Sightings) -> tuple[Sightings, Sightings, Sightings]:
    """Set every fifth person of train aside, to choose settings on: the test split is never looked at for that.

    Returns:
        What is left to train on; as queries the first sighting of each held-out person by each camera; as gallery all their
        sightings (a query's own photo is of its own camera, and so never ranked).
    """
    people = np.unique(train.person_ids)
    held = np.isin(train.person_ids, people[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    aside = train.take(held)
    _, first = np.unique(np.stack([aside.person_ids, aside.camera_ids]), axis=1, return_index=True)
    return train.take(~held), aside.take(np.sort(first)), aside


@DATASETS.register_module()
class Market1501(LabelledCrops):
    """Market-1501's layout as a data set for re-identification.

    A sample has ``inputs`` (3, H, W) uint8, ``label`` (0 to people - 1 in the order of their ids; meaningful in training
    splits), ``person_id``, ``camera_id`` and ``is_query``.

    Args:
        root: Folder that holds bounding_box_train, query and bounding_box_test.
        split: ``train`` or ``test`` (queries, then gallery); ``fit`` and ``held_out`` are train cut in two by person.
        size: Height and width in pixels.
        keep_decoded: See `LabelledCrops`.
    """

    name = "market1501"

    def __init__(self, root: str | Path, split: str, size: tuple[int, int], keep_decoded: bool = False):
        parts = read_market1501(root)
        fit, held_query, held_gallery = hold_out(parts["train"])
        nobody = parts["query"].take(np.array([], dtype=np.int64))
        query, rest = {
            "train": (nobody, parts["train"]),
            "test": (parts["query"], parts["gallery"]),
            "fit": (nobody, fit),
            "held_out": (held_query, held_gallery),
        }[split]
        sightings = query + rest
        super().__init__(root, sightings.names, size, keep_decoded)
        self.split = split
        self.person_ids, self.camera_ids = sightings.person_ids, sightings.camera_ids
        self.people, self.labels = np.unique(self.person_ids, return_inverse=True)
        self.num_query = len(query)
        self._all = parts["train"] + parts["query"] + parts["gallery"]

    def target(self, index: int) -> dict:
        return {
            "label": int(self.labels[index]),
            "person_id": int(self.person_ids[index]),
            "camera_id": int(self.camera_ids[index]),
            "is_query": index < self.num_query,
        }

    def digest(self) -> str:
        """Digest of the whole data set, the same for every split."""
        return content_digest(self.root, ((name, "") for name in self._all.names))
