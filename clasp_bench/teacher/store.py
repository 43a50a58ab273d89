"""The label store: pseudo-labels of a list of images as Arrow files, one row an image.

::

    LABELS/
      store.json       who made the labels (teacher, vocabulary, settings) for which images
      names.arrow      the image names, in the order of the rows
      shards/00000.arrow, 00000.json, ...   rows of fixed width; the .json is written last and holds the shard's SHA-256
      manifest.json    size and SHA-256 of every shard; its presence says that the store is finished
      quarantine.txt   images that could not be read, with the reason

Everything that is written is written atomically, so that a killed run leaves whole shards and goes on from them. Soft labels and
confidences are held as 8-bit steps of 1/255. A shard has one column, ``row``, of fixed-size lists of bytes: the fields of `LabelRows` one
after another, at the offsets its schema's metadata gives, so that a random row is one place in one file. Reading needs no
torch.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from io import FileIO
from pathlib import Path

import numpy as np
import pyarrow as pa

from clasp_bench.data.sources import PhotoSource
from clasp_bench.errors import BenchError, LabelMismatch
from clasp_bench.files import atomic_path, digest, digest_file, sweep, write_text

FORMAT = 3
ROWS_PER_SHARD = (
    512,
    16_384,
)  # few enough to lose little when killed, many enough that a random batch touches few files
SHARDS_WANTED = 64
OPEN_FILES = 512
ABANDONED = 3600  # seconds; what another run is writing is younger
GO_ON = "delete it and run the store's `clasp-bench label` command again, finished shards are kept"
RECORDED = (
    "fingerprint",
    "normalisation",
    "vocabulary_digest",
    "settings",
)  # what two runs must share to write into one store


@dataclass(frozen=True)
class LabelRows:
    """Labels of some images, in the order asked for.

    Attributes:
        parts: index into the part names, (n, h, w) uint8.
        part_confidence: in [0, 1], (n, h, w) float32.
        attributes: soft labels, classes of all groups in the order of the store's meta, each group sums to about 1; (n, A) float32.
        attribute_confidence: in [0, 1], one for each group, (n, G) float32.
        valid: False where the image could not be read (its labels are then zeros), (n,) bool.
    """

    parts: np.ndarray
    part_confidence: np.ndarray
    attributes: np.ndarray
    attribute_confidence: np.ndarray
    valid: np.ndarray

    def __len__(self) -> int:
        return len(self.valid)


def _quantise(fraction: np.ndarray) -> np.ndarray:
    """[0, 1] to the nearest of 256 steps."""
    return np.rint(np.clip(fraction, 0, 1) * 255).astype(np.uint8)


def _pack(rows: LabelRows) -> np.ndarray:
    """Rows as bytes, (n, bytes a row)."""
    fields = (
        rows.parts.reshape(len(rows), -1).astype(np.uint8, copy=False),
        _quantise(rows.part_confidence.reshape(len(rows), -1)),
        _quantise(rows.attributes),
        _quantise(rows.attribute_confidence),
        rows.valid.astype(np.uint8)[:, None],
    )
    return np.concatenate(fields, axis=1)


def _offsets(meta: dict) -> dict[str, tuple[int, int]]:
    """Where each field begins and ends in a row."""
    cells = meta["grid"][0] * meta["grid"][1]
    classes = sum(map(len, meta["attribute_groups"].values()))
    sizes = (cells, cells, classes, len(meta["attribute_groups"]), 1)
    ends = np.cumsum(sizes).tolist()
    names = (field.name for field in fields(LabelRows))
    return {name: (end - size, end) for name, size, end in zip(names, sizes, ends, strict=True)}


def _write_arrow(path: Path, batch: pa.RecordBatch) -> None:
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), batch.schema) as writer:
        writer.write_batch(batch)


class StoreWriter:
    """Writes a store shard by shard, in any order; a second writer on the same folder finds what is finished."""

    def __init__(self, path: str | Path, photos: PhotoSource, meta: dict):
        """Look at what is at `path`: nothing yet, or a store of these photos that can be gone on with. Nothing is written.

        Args:
            photos: what is labelled, one a row.
            meta: what made the labels: `fingerprint`, `vocabulary_digest`, `settings`, `grid` (h, w), `parts`, `attribute_groups` and
                whatever else shall be kept with them; JSON types only.
        Raises:
            LabelMismatch: the store at `path` was begun for other images.
            BenchError: it was begun with another teacher, vocabulary or settings.
        """
        self.path, self.names = Path(path), photos.names
        self.shard_rows = int(np.clip(-(-len(photos) // SHARDS_WANTED), *ROWS_PER_SHARD))
        shared = {
            "format": FORMAT,
            "rows": len(photos),
            "shard_rows": self.shard_rows,
            "images_digest": photos.digest,
        }
        self.meta = json.loads(json.dumps({**meta, **shared}))
        if (self.path / "store.json").exists():
            begun = _read_json(self.path / "store.json")
            if begun.get("format") != FORMAT:
                raise BenchError(
                    f"{self.path / 'store.json'}: format {begun.get('format')}, this version writes {FORMAT}; delete that folder, or name another "
                    "--out, to label again"
                )
            _check_images(self.path, begun, photos)
            self._check_same(begun)
            self.shard_rows = begun["shard_rows"]

    def begin(self) -> "StoreWriter":
        """Write down who labels what, unless that stands there already."""
        names, store = self.path / "names.arrow", self.path / "store.json"
        if not (names.exists() and store.exists()):
            _write_arrow(names, pa.record_batch({"name": pa.array(self.names, pa.large_string())}))
        if not store.exists():
            write_text(store, json.dumps(self.meta, indent=1))
        return self

    def _check_same(self, begun: dict) -> None:
        for key in RECORDED:
            # stores of before it was kept do not say their normalisation
            if begun.get(key, self.meta.get(key)) != self.meta.get(key):
                raise BenchError(
                    f"{self.path}: was begun with another {key.replace('_digest', '')} than this run's; "
                    "name another --out, or delete that folder to label again"
                )

    @property
    def shards(self) -> int:
        return -(-len(self.names) // self.shard_rows)

    def rows(self, shard: int) -> range:
        """Row numbers of a shard."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, len(self.names)))

    def pending(self) -> list[int]:
        """Shards that are not finished yet: without a record, or of another length or checksum than it says."""
        return [shard for shard in range(self.shards) if not self.finished(shard)]

    def recorded(self, shard: int) -> bool:
        """Whether a shard has been written to its end, by this process or another; of its bytes their number alone is looked at."""
        return self._record(shard) is not None

    def finished(self, shard: int) -> bool:
        """Whether a shard has been written to its end and its bytes are those that were written."""
        record = self._record(shard)
        return record is not None and digest_file(_shard_files(self.path, shard)[0]) == record.get("sha256")

    def _record(self, shard: int) -> dict | None:
        """The record of a shard, if neither is absent or torn."""
        file, record = _shard_files(self.path, shard)
        try:
            said = json.loads(record.read_text())
            return said if file.stat().st_size == said["bytes"] else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, shard: int, rows: LabelRows, quarantined: dict[str, str]) -> None:
        """Write one shard and, after it, the record that finishes it.

        Args:
            quarantined: image name to the reason why its row is not valid.
        """
        if len(rows) != len(self.rows(shard)):
            raise ValueError(f"shard {shard} has {len(self.rows(shard))} rows, got {len(rows)}")
        file, record = _shard_files(self.path, shard)
        packed = _pack(rows)
        column = pa.FixedSizeListArray.from_arrays(pa.array(packed.reshape(-1)), packed.shape[1])
        schema = pa.schema({"row": column.type}, metadata={"fields": json.dumps(_offsets(self.meta))})
        _write_arrow(file, pa.record_batch([column], schema=schema))
        said = {"bytes": file.stat().st_size, "sha256": digest_file(file), "quarantined": quarantined}
        write_text(record, json.dumps(said))

    def finish(self) -> "LabelStore":
        """Write the quarantine list and the manifest, remove what killed runs left, and open the store."""
        for folder in (self.path, self.path / "shards"):
            sweep(folder, idle=ABANDONED)
        records = [_read_json(_shard_files(self.path, shard)[1], GO_ON) for shard in range(self.shards)]
        quarantined = {name: why for record in records for name, why in record["quarantined"].items()}
        write_text(self.path / "quarantine.txt", "".join(f"{name}\t{why}\n" for name, why in quarantined.items()))
        manifest = {
            "shards": [{"bytes": r["bytes"], "sha256": r["sha256"]} for r in records],
            "quarantined": len(quarantined),
        }
        write_text(self.path / "manifest.json", json.dumps(manifest, indent=1))
        return LabelStore.open(self.path)


class LabelStore:
    """Reads a finished store. Opening reads two small files; a shard's checksum is compared at its first use, and its rows read in place."""

    def __init__(self, path: Path, meta: dict, shards: list[dict]):
        self.path, self.meta, self._records = path, meta, shards
        self._shards: dict[int, tuple[FileIO, int]] = {}
        self._names: Names | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums of all shards: that of the labels themselves."""
        return digest(record["sha256"] for record in self._records)

    @classmethod
    def open(cls, path: str | Path) -> "LabelStore":
        """Open a store and compare the length of every shard with the manifest.

        Raises:
            BenchError: no store, an unfinished one, one of another format, or a shard that is missing or torn (named).
        """
        path = Path(path)
        if not (path / "store.json").exists():
            raise BenchError(f"{path}: holds no label store; make one with `clasp-bench label IMAGES --out {path}`")
        meta = _read_json(path / "store.json")
        if meta.get("format") != FORMAT:
            raise BenchError(
                f"{path / 'store.json'}: format {meta.get('format')}, this version reads {FORMAT}; label again"
            )
        if not (path / "manifest.json").exists():
            raise BenchError(
                f"{path}: is not finished; run its `clasp-bench label` command again, finished shards are kept"
            )
        records = _read_json(path / "manifest.json", GO_ON)["shards"]
        for shard, record in enumerate(records):
            file = _shard_files(path, shard)[0]
            found = file.stat().st_size if file.exists() else 0
            if found != record["bytes"]:
                raise _torn(file, f"holds {found:,} bytes, the manifest says {record['bytes']:,}")
        return cls(path, meta, records)

    def __len__(self) -> int:
        return self.meta["rows"]

    def __getstate__(self) -> dict:
        return {**vars(self), "_shards": {}, "_names": None}

    @property
    def names(self) -> "Names":
        """Image names, one a row; read from the mapped file one at a time."""
        if self._names is None:
            self._names = Names(self.path / "names.arrow")
        return self._names

    def check(self, photos: PhotoSource) -> None:
        """Make sure that the rows belong to these photos.

        Raises:
            LabelMismatch: they were made for others.
        """
        _check_images(self.path, self.meta, photos)

    def verify(self) -> None:
        """Compare the checksum of every shard.

        Raises:
            BenchError: a shard was edited or is torn (named).
        """
        for shard in range(len(self._records)):
            self._check_sum(shard)

    def quarantined(self) -> dict[str, str]:
        """Name of each image that could not be read, and the reason: from the shards' records, as a name may hold what ends a line of the list."""
        records = (_read_json(_shard_files(self.path, shard)[1], GO_ON) for shard in range(len(self._records)))
        return {name: why for record in records for name, why in record["quarantined"].items()}

    def take(self, indices: Sequence[int] | np.ndarray) -> LabelRows:
        """Labels of the images with these row numbers, in this order.

        Raises:
            BenchError: a shard that holds one of them was edited.
            IndexError: there is no such row.
        """
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"{self.path} has {len(self):,} rows, asked for {indices.min()} to {indices.max()}")
        shard_of, row_of = np.divmod(indices, self.meta["shard_rows"])
        height, width = self.meta["grid"]
        offsets = _offsets(self.meta)
        packed = np.empty((len(indices), offsets["valid"][1]), np.uint8)
        order = np.argsort(shard_of, kind="stable")
        shards, starts = np.unique(shard_of[order], return_index=True)
        for shard, start, end in zip(shards.tolist(), starts, [*starts[1:], len(order)], strict=False):
            wanted = order[start:end]
            self._read(shard, row_of[wanted], wanted, packed)
        taken = {name: packed[:, start:end] for name, (start, end) in offsets.items()}
        return LabelRows(
            parts=np.ascontiguousarray(taken["parts"]).reshape(-1, height, width),
            part_confidence=taken["part_confidence"].reshape(-1, height, width) / np.float32(255),
            attributes=taken["attributes"] / np.float32(255),
            attribute_confidence=taken["attribute_confidence"] / np.float32(255),
            valid=taken["valid"][:, 0].astype(bool),
        )

    def batches(self, rows: int = 4096) -> Iterator[LabelRows]:
        """All rows in order, some at a time."""
        for start in range(0, len(self), rows):
            yield self.take(range(start, min(start + rows, len(self))))

    def _read(self, shard: int, rows: np.ndarray, into: np.ndarray, packed: np.ndarray) -> None:
        """Read rows of a shard to the places `into` of `packed`.

        By position and not through a map: Linux maps up to 2 MB around a page that is touched, so random rows of a large store would soon
        make all of it resident, and would take longer.
        """
        file, start = self._shard(shard)
        descriptor, width, place = file.fileno(), packed.shape[1], memoryview(packed.reshape(-1))
        try:
            if len(rows) > 1 and (np.diff(rows) == 1).all() and (np.diff(into) == 1).all():
                found = os.pread(descriptor, len(rows) * width, start + int(rows[0]) * width)
                place[int(into[0]) * width : (int(into[-1]) + 1) * width] = found
                return
            for at, row in zip((into * width).tolist(), (rows * width).tolist(), strict=True):
                place[at : at + width] = os.pread(descriptor, width, start + row)
        except ValueError as error:
            raise _torn(_shard_files(self.path, shard)[0], "has become shorter since it was checked") from error

    def _shard(self, shard: int) -> tuple[FileIO, int]:
        """The open file of a shard and where its rows begin."""
        if shard not in self._shards:
            self._check_sum(shard)
            file = _shard_files(self.path, shard)[0]
            whole = pa.memory_map(str(file)).read_buffer()
            rows = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0).column(0).flatten().buffers()[1]
            if len(self._shards) >= OPEN_FILES:
                self._shards.pop(next(iter(self._shards)))[0].close()
            self._shards[shard] = FileIO(file, "rb"), rows.address - whole.address
        return self._shards[shard]

    def _check_sum(self, shard: int) -> None:
        file = _shard_files(self.path, shard)[0]
        if not file.exists() or digest_file(file) != self._records[shard]["sha256"]:
            raise _torn(file, "its bytes are not those that were written")


class Names(Sequence):
    """Image names as a sequence on a mapped Arrow file."""

    def __init__(self, path: Path):
        try:
            self._column = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).column(0)
        except (OSError, pa.ArrowInvalid) as error:
            raise BenchError(f"{path}: cannot be read ({error}); {GO_ON}") from error

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._column[index].to_pylist()
        return self._column[index].as_py()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 65_536):
            yield from self._column.slice(start, 65_536).to_pylist()


def _shard_files(path: Path, shard: int) -> tuple[Path, Path]:
    """The file of a shard and the record that finishes it."""
    return path / "shards" / f"{shard:05d}.arrow", path / "shards" / f"{shard:05d}.json"


def _read_json(path: Path, mend: str = "delete the store and label again") -> dict:
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("no keys in it")
        return content
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: cannot be read as JSON ({error}); {mend}") from error


def _check_images(path: Path, meta: dict, photos: PhotoSource) -> None:
    if (meta["rows"], meta["images_digest"]) != (len(photos), photos.digest):
        raise LabelMismatch(
            f"{path}: made for {meta['rows']:,} images with digest {meta['images_digest'][:8]}, but there are now {len(photos):,} "
            f"with digest {photos.digest[:8]}; label these images into another folder, or delete this one and run `clasp-bench label` again"
        )


def _torn(file: Path, how: str) -> BenchError:
    return BenchError(
        f"{file}: {how}; run the store's `clasp-bench label` command again, which writes that shard alone anew"
    )
