"""MSMT17, version 1: pictures in a folder for each identity, and lists that say who is who.

Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018. A line of ``list_train.txt`` is
``0000/0000_000_01_0303morning_0015_0.jpg 0``: below ``train/``, identity, number of the picture, camera, day and time, frame, detection,
and then the identity again. Identities count from 0 without gaps, in train and test apart. ``list_val.txt`` holds pictures of the
same people as ``list_train.txt`` (one of each person here), ``list_query.txt`` and ``list_gallery.txt`` lie below ``test/``.

torchreid reads the folder above ``msmt17/``, fast-reid ``msmt17/`` itself; both look for ``MSMT17_V1/`` there, and tell it from version 2,
whose faces are masked, by that name alone.
"""

from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.synthped.layouts.names import link, write_lines
from clasp_bench.data.synthped.truth import read_shards

READS = ("crops",)
LISTS = ("train", "val", "query", "gallery")


def listed(records: Iterator[dict]) -> Iterator[tuple[str, str, int, dict]]:
    """(list, path below train/ or test/, identity, record) of every labelled crop."""
    identities = {"train": -1, "test": -1}
    person, number, cameras = 0, 0, set()
    for record in records:
        if record["part"] in ("photos", "junk"):
            continue
        half = "test" if record["part"] == "test" else "train"
        if record["person"] != person:
            person, number, cameras = record["person"], 0, set()
            identities[half] += 1
        identity, camera = identities[half], record["camera"]
        seen_before = number > 0 if half == "train" else camera in cameras
        where = {
            ("train", True): "train",
            ("train", False): "val",
            ("test", True): "gallery",
            ("test", False): "query",
        }[half, seen_before]
        cameras.add(camera)
        path = f"{identity:04d}/{identity:04d}_{number:03d}_{camera:02d}_0303morning_{record['frame']:04d}_0.jpg"
        number += 1
        yield where, path, identity, record


def write(root: Path, folder: Path) -> None:
    folder = folder / "MSMT17_V1"
    for where, path, _, record in listed(read_shards(root, "crops")):
        link(root / record["file"], folder / ("train" if where in ("train", "val") else "test") / path)
    for name in LISTS:
        lines = (f"{path} {i}" for where, path, i, _ in listed(read_shards(root, "crops")) if where == name)
        write_lines(folder / f"list_{name}.txt", lines)
