"""A folder of images into a label store: batches are decoded and labelled in threads, shards written behind; by one process or several.

Shards are dealt to ranks in turn; ranks share nothing but the store's folder. A shard's bytes depend on its images alone, so it does not
matter who makes it, and one made twice is the same twice.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from clasp_bench.data.images import read_resized
from clasp_bench.data.sources import FolderSource
from clasp_bench.errors import UnreadableImage
from clasp_bench.progress import Meter, meter
from clasp_bench.teacher.labeller import Labeller
from clasp_bench.teacher.store import LabelRows, LabelStore, StoreWriter

BATCH = 64  # fixed, and the last batch is padded: labels do not depend on how many images there are

Item, Done = TypeVar("Item"), TypeVar("Done")


def label_folder(
    root: str | Path, out: str | Path, labeller: Labeller, workers: int, rank: int = 0, ranks: int = 1
) -> LabelStore | None:
    """Label every image below `root` into the store `out`; finished shards of an earlier run are kept.

    An image that cannot be read gets a row marked invalid and a line in ``quarantine.txt``.

    Args:
        workers: threads that decode and label.
        rank, ranks: this process makes every `ranks`-th shard from `rank` on; whichever process is last finishes the store.
    Returns:
        The store, or None where other processes have not made all of theirs yet.
    Raises:
        LabelMismatch: `out` was made for other images.
        BenchError: `out` was made with another teacher, vocabulary or settings.
    """
    writer = StoreWriter(out, FolderSource(root), labeller.meta).begin()
    own = range(rank, writer.shards, ranks)
    pending = [shard for shard in own if not writer.finished(shard)]
    total, left = (sum(len(writer.rows(shard)) for shard in shards) for shards in (own, pending))
    with meter("label", total, done=total - left, unit="images") as progress:
        label_shards(Path(root), writer, labeller, pending, workers, progress)
    return writer.finish() if all(map(writer.recorded, range(writer.shards))) else None


def label_shards(
    root: Path,
    writer: StoreWriter,
    labeller: Labeller,
    shards: Sequence[int],
    workers: int,
    progress: Meter,
) -> None:
    """Label the images of some shards and write them; `workers` threads decode and label a batch each and share the processors evenly."""

    def label(rows: range) -> tuple[LabelRows, dict[str, str]]:
        images, faults = _read([root / writer.names[row] for row in rows], labeller.image_size)
        readable = np.array([number not in faults for number in range(len(rows))])
        unread = {writer.names[rows[number]]: why.replace(f"{root}/", "") for number, why in faults.items()}
        return _blank(labeller.label(images), readable), unread

    batches = [(shard, rows) for shard in shards for rows in _cut(writer.rows(shard))]
    with _shared_out(workers), ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as scribe:
        done = _ahead(pool, label, (rows for _, rows in batches), 2 * workers)
        written: Future | None = None
        for shard, of_shard in groupby(zip(batches, done, strict=True), key=lambda pair: pair[0][0]):
            labelled, quarantined = [], {}
            for (_, rows), (labels, unread) in of_shard:
                labelled.append(labels)
                quarantined |= unread
                progress.advance(len(rows))
            if written:
                written.result()
            written = scribe.submit(writer.write, shard, _concatenate(labelled), quarantined)
        if written:
            written.result()


def read_batches(files: Sequence[Path], size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images in batches of `BATCH`, the last one padded: pixels (BATCH, *size, 3) uint8 and which rows hold an image, (BATCH,) bool."""
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        images, faults = _read(batch, size)
        yield images, np.array([row < len(batch) and row not in faults for row in range(BATCH)])


def rank_and_ranks() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun and Slurm's launchers say in the environment; either alone says nothing."""
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def own_device(device: str) -> str:
    """``cuda`` as the GPU of this process's number on its machine; other devices as they are."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if device == "cuda" and local else device


def _cut(rows: range) -> list[range]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _read(files: Sequence[Path], size: tuple[int, int]) -> tuple[np.ndarray, dict[int, str]]:
    """A batch: pixels (BATCH, *size, 3) uint8, zeros where there is no image, and what is wrong with those that cannot be read, by row."""
    images, faults = np.zeros((BATCH, *size, 3), np.uint8), {}
    for row, file in enumerate(files):
        try:
            images[row] = read_resized(file, size)
        except UnreadableImage as error:
            faults[row] = str(error)
    return images, faults


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Item], Done], items: Iterable[Item], count: int) -> Iterator[Done]:
    """What `work` makes of each item, in order; `count` items wait ahead of need, and are let go when one fails or the run is stopped."""
    begun: deque[Future] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


@contextmanager
def _shared_out(workers: int) -> Iterator[None]:
    """Each of several threads computes with its share of the processors that torch has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // workers))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _blank(labels: LabelRows, readable: np.ndarray) -> LabelRows:
    """The first rows of a batch's labels, zeros where the image could not be read."""
    fields = {field: values[: len(readable)].copy() for field, values in vars(labels).items() if field != "valid"}
    for values in fields.values():
        values[~readable] = 0
    return LabelRows(**fields, valid=readable)


def _concatenate(rows: list[LabelRows]) -> LabelRows:
    return LabelRows(**{field: np.concatenate([getattr(part, field) for part in rows]) for field in vars(rows[0])})
