"""A folder of images into a label store: decoding ahead in threads, encoding here, writing behind in a thread; by one process or several.

Shards are dealt to ranks in turn; ranks share nothing but the store's folder. A shard's bytes depend on its images alone, so it does not
matter who makes it, and one made twice is the same twice.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from clasp_bench.data.images import list_images, read_resized
from clasp_bench.errors import UnreadableImage
from clasp_bench.progress import Meter, meter
from clasp_bench.teacher.labeller import Labeller
from clasp_bench.teacher.store import LabelRows, LabelStore, StoreWriter

BATCH = 64  # fixed, and the last batch is padded: labels do not depend on how many images there are
BATCHES_AHEAD = 4
CHUNK = 16  # images one thread decodes in a row


def label_folder(
    root: str | Path, out: str | Path, labeller: Labeller, workers: int, rank: int = 0, ranks: int = 1
) -> LabelStore | None:
    """Label every image below `root` into the store `out`; finished shards of an earlier run are kept.

    An image that cannot be read gets a row marked invalid and a line in ``quarantine.txt``.

    Args:
        workers: threads that decode.
        rank, ranks: this process makes every `ranks`-th shard from `rank` on; whichever process is last finishes the store.
    Returns:
        The store, or None where other processes have not made all of theirs yet.
    Raises:
        LabelMismatch: `out` was made for other images.
        BenchError: `out` was made with another teacher, vocabulary or settings.
    """
    root, names = Path(root), list_images(root)
    writer = StoreWriter(out, names, labeller.meta)
    own = range(rank, writer.shards, ranks)
    pending = [shard for shard in own if not writer.finished(shard)]
    total, left = (sum(len(writer.rows(shard)) for shard in shards) for shards in (own, pending))
    with meter("label", total, done=total - left, unit="images") as progress:
        label_shards(root, writer, labeller, pending, workers, progress)
    return writer.finish() if all(map(writer.recorded, range(writer.shards))) else None


def label_shards(
    root: Path,
    writer: StoreWriter,
    labeller: Labeller,
    shards: Sequence[int],
    workers: int,
    progress: Meter,
) -> None:
    """Label the images of some shards and write them."""
    batches = [(shard, rows) for shard in shards for rows in _cut(writer.rows(shard))]
    files = ([root / writer.names[row] for row in rows] for _, rows in batches)
    with ThreadPoolExecutor(workers) as decoders, ThreadPoolExecutor(1) as scribe:
        labelled, quarantined, written = [], {}, []
        for number, (images, faults) in enumerate(_decode_ahead(decoders, files, labeller.image_size)):
            shard, rows = batches[number]
            readable = np.array([row not in faults for row in range(len(rows))])
            labelled.append(_blank(labeller.label(images), readable))
            quarantined |= {writer.names[rows[row]]: why.replace(f"{root}/", "") for row, why in faults.items()}
            if number + 1 == len(batches) or batches[number + 1][0] != shard:
                if written:
                    written.pop().result()
                written.append(scribe.submit(writer.write, shard, _concatenate(labelled), quarantined))
                labelled, quarantined = [], {}
            progress.advance(len(rows))
        for last in written:
            last.result()


def read_batches(files: Sequence[Path], size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images in batches of `BATCH`, the last one padded: pixels (BATCH, *size, 3) uint8 and which rows hold an image, (BATCH,) bool."""
    with ThreadPoolExecutor(1) as decoders:
        batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
        for batch, (images, faults) in zip(batches, _decode_ahead(decoders, batches, size), strict=True):
            yield images, np.array([row < len(batch) and row not in faults for row in range(BATCH)])


def rank_and_ranks() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun and Slurm's launchers say in the environment."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def own_device(device: str) -> str:
    """``cuda`` as the GPU of this process's number on its machine; other devices as they are."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if device == "cuda" and local else device


def _cut(rows: range) -> list[range]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _decode_ahead(
    pool: ThreadPoolExecutor, batches: Iterable[Sequence[Path]], size: tuple[int, int]
) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """Decoded batches in order, some begun ahead of need: pixels (BATCH, *size, 3) uint8, zeros where there is no image, and what is
    wrong with those that cannot be read, by row."""

    def read(files: Sequence[Path], first: int, into: np.ndarray) -> dict[int, str]:
        faults = {}
        for row, file in enumerate(files, first):
            try:
                into[row] = read_resized(file, size)
            except UnreadableImage as error:
                faults[row] = str(error)
        return faults

    waiting: list[tuple[np.ndarray, list[Future]]] = []
    for batch in batches:
        images = np.zeros((BATCH, *size, 3), np.uint8)
        chunks = range(0, len(batch), CHUNK)
        waiting.append((images, [pool.submit(read, batch[start : start + CHUNK], start, images) for start in chunks]))
        if len(waiting) > BATCHES_AHEAD:
            yield _collect(*waiting.pop(0))
    for entry in waiting:
        yield _collect(*entry)


def _collect(images: np.ndarray, chunks: list[Future]) -> tuple[np.ndarray, dict[int, str]]:
    return images, {row: why for chunk in chunks for row, why in chunk.result().items()}


def _blank(labels: LabelRows, readable: np.ndarray) -> LabelRows:
    """The first rows of a batch's labels, zeros where the image could not be read."""
    fields = {field: values[: len(readable)].copy() for field, values in vars(labels).items() if field != "valid"}
    for values in fields.values():
        values[~readable] = 0
    return LabelRows(**fields, valid=readable)


def _concatenate(rows: list[LabelRows]) -> LabelRows:
    return LabelRows(**{field: np.concatenate([getattr(part, field) for part in rows]) for field in vars(rows[0])})
