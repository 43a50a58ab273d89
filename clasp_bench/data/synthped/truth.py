"""What is true of a universe's pictures: shards of JSON lines, read one record at a time.

``truth/crops-00007.jsonl`` holds every crop of shard 7's people, ``truth/empty-00000.jsonl`` a detector's false alarms and
``truth/scenes-00000.jsonl`` street scenes. A shard appears when all its pictures are there, so the shards of an unfinished
universe are also the journal of what need not be rendered again. A universe of a million pictures is never in memory at once.

A crop's record: ``file``, ``mask`` (LIP classes, PNG), ``person`` (from 1), ``part`` (train, val, test, photos; junk for a
detector's poor box), ``camera`` (from 1), ``frame``, ``pose``, ``heading`` (radians, 0 faces the camera), ``view``, ``size``
[H, W], ``box`` (x, y, w, h of the visible pixels), ``full_box`` (of the whole body, may leave the picture), ``occlusion`` (share
of the body's pixels inside the picture that something hides), ``keypoints`` (17 of COCO's x, y, v), ``attributes`` (26 of
PA-100K), ``wardrobe``, ``caption``, ``paraphrase`` (the same in other words), ``sha256`` (of photo and mask).

A scene's record: ``file``, ``size``, ``camera``, ``part`` (train, val), ``people`` (``person``, ``mask`` as COCO's compressed RLE, ``box``,
``full_box``, ``head_box``, ``keypoints``, ``occlusion``, ``truncation``, ``pose``, ``heading``, ``view``, ``attributes``, ``caption``,
``ignore``), ``crowds`` (``box`` and ``mask`` of groups not labelled one by one), ``sha256``.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from clasp_bench.errors import DataError
from clasp_bench.files import write_text

FOLDER = "truth"
UNFINISHED = ".unfinished.json"  # beside a universe that is being rendered or added to
KINDS = ("crops", "empty", "scenes")


def shard_path(root: str | Path, kind: str, number: int) -> Path:
    return Path(root) / FOLDER / f"{kind}-{number:05d}.jsonl"


def write_shard(root: str | Path, kind: str, number: int, records: list[dict]) -> None:
    """Write the records of a shard whose pictures are all there.

    Raises:
        BenchError: the disk is full.
    """
    write_text(shard_path(root, kind, number), "".join(json.dumps(record) + "\n" for record in records))


def has_truth(root: str | Path) -> bool:
    """Whether `root` is a universe whose records can be read, and are all there."""
    root = Path(root)
    return (root / "universe.json").is_file() and (root / FOLDER).is_dir() and not (root / UNFINISHED).exists()


def read_shards(root: str | Path, kind: str) -> Iterator[dict]:
    """Records of one of `KINDS` in the order of their numbers, whether or not the universe is finished.

    Raises:
        DataError: a line is no JSON in UTF-8; the shard and line are named.
    """
    for path in sorted((Path(root) / FOLDER).glob(f"{kind}-*.jsonl")):
        with open(path, "rb") as shard:
            for number, line in enumerate(shard, start=1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise DataError(
                        f"{path}: line {number} is torn ({error}); remove {root} and run `clasp-bench synth` again"
                    ) from error


def truth(root: str | Path, kind: str = "crops") -> Iterator[dict]:
    """Records of a finished universe, one at a time: ``"crops"``, ``"empty"`` or ``"scenes"``.

    Raises:
        DataError: `root` holds no finished universe, or a shard is torn.
    """
    if not has_truth(root):
        raise DataError(f"{root}: holds no finished universe; make one with `clasp-bench synth {root}`")
    return read_shards(root, kind)
