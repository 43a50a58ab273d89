"""Market-1501: identity and camera are in the file name.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, and the data set's readme: ``0002_c1s1_000451_03.jpg`` is
identity 2, camera 1, sequence 1, frame 451, detection 3. One query for each test identity and camera; the gallery has the other
test pictures, junk (``-1``: boxes that overlap a person by less than half) and distractors (``0000``: false alarms).

Public readers (torchreid's, fast-reid's) assert identities up to 1501 and cameras 1 to 6, as the data set has them, so this layout
holds a universe's first 1,501 labelled identities as its first six cameras see them. MSMT17's layout holds all of them.
"""

from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.synthped.layouts.names import link
from clasp_bench.data.synthped.truth import read_shards

READS = ("crops", "empty")
IDENTITIES, CAMERAS = 1501, 6
FOLDERS = ("bounding_box_train", "query", "bounding_box_test")


def name(identity: str, camera: int, frame: int) -> str:
    """``0002_c1s1_000451_00.jpg``; `identity` is four digits, or ``-1`` for junk."""
    return f"{identity}_c{camera}s1_{frame:06d}_00.jpg"


def placed(records: Iterator[dict]) -> Iterator[tuple[str, dict]]:
    """(path below the layout, record) of every crop that belongs in it."""
    queried: tuple[int, set[int]] = (0, set())
    for record in records:
        person, camera, part = record["person"], record["camera"], record["part"]
        if part == "photos" or person > IDENTITIES or camera > CAMERAS:
            continue
        if person != queried[0]:
            queried = (person, set())
        folder = "bounding_box_train"
        if part == "junk" or camera in queried[1]:
            folder = "bounding_box_test"
        elif part == "test":
            folder = "query"
            queried[1].add(camera)
        identity = "-1" if part == "junk" else f"{person:04d}"
        yield f"{folder}/{name(identity, camera, record['frame'])}", record


def write(root: Path, folder: Path) -> None:
    for path, record in placed(read_shards(root, "crops")):
        link(root / record["file"], folder / path)
    for record in read_shards(root, "empty"):
        link(root / record["file"], folder / "bounding_box_test" / name("0000", record["camera"], record["frame"]))
