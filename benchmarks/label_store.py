"""A label store of 4 million rows: how fast it opens, how many random rows a second one process reads, and in how much memory.

The store is written with synthetic rows through the real writer into a temporary folder (1.5 GB at 4 million rows) and read in a process of
its own. The peer is the bar of 50,000 random rows a second. The rate is of processor time, so that a busy machine does not change it; the
rate by the clock is printed beside it, and what the first touch of every shard costs (its checksum).

Run: python benchmarks/label_store.py [--rows 4000000] [--batch 256] [--folder DIR]
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from clasp_bench.data.sources import FolderSource
from clasp_bench.progress import meter
from clasp_bench.teacher import LabelRows, LabelStore, StoreWriter, load_vocabulary

BAR = 50_000  # rows/s
SECONDS = 10
GRID = (16, 8)


def write(folder: Path, rows: int) -> None:
    """A store of random labels with the shipped vocabulary's groups."""
    words = load_vocabulary()
    meta = {
        "teacher": "none", "fingerprint": "0" * 64, "vocabulary": words.name, "vocabulary_digest": words.digest,
        "settings": {}, "grid": list(GRID), "parts": list(words.parts), "attribute_groups": words.attribute_groups,
    }  # fmt: skip
    names = [f"{number // 10_000:04d}/{number:08d}.jpg" for number in range(rows)]
    writer = StoreWriter(folder, FolderSource(folder, names), meta).begin()
    rng, classes = np.random.default_rng(0), sum(map(len, words.attributes.values()))
    with meter("write", rows, unit="rows") as progress:
        for shard in writer.pending():
            n = len(writer.rows(shard))
            labels = LabelRows(
                parts=rng.integers(0, len(words.parts), (n, *GRID), dtype=np.uint8),
                part_confidence=rng.random((n, *GRID), dtype=np.float32),
                attributes=rng.random((n, classes), dtype=np.float32),
                attribute_confidence=rng.random((n, len(words.attributes)), dtype=np.float32),
                valid=np.ones(n, bool),
            )
            writer.write(shard, labels, {})
            progress.advance(n)
    writer.finish()


def read(folder: Path, batch: int, found: multiprocessing.Queue) -> None:
    """Open, touch every shard once, then read random batches for some seconds."""
    before = _resident()
    start = time.perf_counter()
    store = LabelStore.open(folder)
    opened = time.perf_counter() - start
    rng = np.random.default_rng(1)
    start = time.perf_counter()
    store.take(np.arange(0, len(store), store.meta["shard_rows"]))
    touched = time.perf_counter() - start
    rows, highest = 0, 0
    start, busy = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < SECONDS:
        store.take(rng.integers(0, len(store), batch))
        rows += batch
        highest = max(highest, _resident()) if rows % (batch * 50) == 0 else highest
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    found.put((opened, touched, rows / wall, rows / busy, max(highest, _resident()), before))


def _resident() -> float:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--folder", type=Path, help="where the temporary store goes")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        store = Path(folder) / "labels"
        writing = context.Process(target=write, args=(store, arguments.rows))
        writing.start()
        writing.join()
        found = context.Queue()
        reading = context.Process(target=read, args=(store, arguments.batch, found))
        reading.start()
        opened, touched, rate, busy_rate, resident, before = found.get()
        reading.join()
        size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    print(
        f"{arguments.rows:,} rows, {size / 1e9:.2f} GB: opened in {opened:.3f} s, all shards checked in {touched:.1f} s, "
        f"{resident:.0f} MB resident ({before:.0f} before opening), {rate:,.0f} rows/s by the clock"
    )
    line = {
        "name": f"label_store_random_rows_batch{arguments.batch}",
        "value": round(busy_rate),
        "unit": "rows/s of processor time",
        "peer": "the bar of 50,000 rows/s",
        "peer_value": BAR,
        "ratio": round(busy_rate / BAR, 2),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
