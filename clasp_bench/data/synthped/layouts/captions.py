"""CUHK-PEDES: sentences that describe people, in ``reid_raw.json``, with the pictures in ``imgs/``.

Li et al., "Person Search with Natural Language Description", CVPR 2017. The file is one list of ``split`` (train, val, test), ``captions``,
``file_path`` below ``imgs/``, ``processed_tokens`` (the words of each caption, without punctuation) and ``id``. People of train come first and count
from 1 without gaps, then those of val and test: readers take ``id`` - 1 as the class. As in the official file there are two captions a
picture; they are made from what can be seen, not written by people.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.synthped.layouts.names import link, stem, write_json
from clasp_bench.data.synthped.truth import read_shards

READS = ("crops",)


def entries(root: Path) -> Iterator[tuple[dict, dict]]:
    """(entry of ``reid_raw.json``, crop's record), people of train first."""
    identity, person = 0, 0
    for part in ("train", "val", "test"):
        for record in read_shards(root, "crops"):
            if record["part"] != part:
                continue
            if record["person"] != person:
                identity, person = identity + 1, record["person"]
            sentences = [record["caption"], record["paraphrase"]]
            entry = {
                "split": part,
                "captions": sentences,
                "file_path": f"synthped/{stem(record)}.jpg",
                "processed_tokens": [re.findall(r"[a-z0-9]+", sentence.lower()) for sentence in sentences],
                "id": identity,
            }
            yield entry, record


def write(root: Path, folder: Path) -> None:
    def linked() -> Iterator[dict]:
        for entry, record in entries(root):
            link(root / record["file"], folder / "imgs" / entry["file_path"])
            yield entry

    write_json(folder / "reid_raw.json", linked())
