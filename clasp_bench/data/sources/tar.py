"""Photos in tar shards, as WebDataset writes them, read in any order.

A shard's members are listed once, by the standard library, and a photo is then read by its offset. What was listed is kept in
``~/.cache/clasp-bench`` (under ``$XDG_CACHE_HOME``, where set) for as long as no shard changes: millions of headers are not read twice.
"""

import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from clasp_bench.data.images import SUFFIXES
from clasp_bench.data.sources.base import PhotoSource, missing
from clasp_bench.errors import BenchError, DataError, UnreadableImage
from clasp_bench.files import atomic_path, cache_folder, digest
from clasp_bench.progress import track

SUFFIX = ".tar"
OPEN_SHARDS = 512  # kept open; the rest are opened for each photo, so that no limit on open files is reached

ODD_NAMES = "surrogateescape"  # how tarfile reads names that are not UTF-8


def find_shards(path: Path) -> list[Path]:
    """The shards that `path` stands for, sorted: the ``.tar`` files of a folder, one file, or a pattern such as ``a-{00..63}.tar``; else none.

    Raises:
        DataError: a shard of a pattern is missing, or shards are compressed.
    """
    if path.is_dir():
        shards = sorted(path.glob("*" + SUFFIX))
        if not shards and (packed := sorted(path.glob("*.tar.*")) + sorted(path.glob("*.tgz"))):
            raise DataError(f"{packed[0]}: is compressed, so that no photo can be read by its place; unpack it to .tar")
        return shards
    if path.suffix != SUFFIX:
        return []
    shards = [Path(name) for name in _expand(str(path))]
    if gone := next((shard for shard in shards if not shard.is_file()), None):
        raise DataError(f"{gone}: there is no such shard; check the path")
    return sorted(shards)


def _expand(pattern: str) -> Iterator[str]:
    """``a-{08..10}`` to ``a-08, a-09, a-10``."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if found is None:
        yield pattern
        return
    first, last = found.groups()
    for number in range(int(first), int(last) + 1):
        yield from _expand(f"{pattern[: found.start()]}{number:0{len(first)}d}{pattern[found.end() :]}")


class TarSource(PhotoSource):
    """The images of tar shards; a photo's name is its member's. Where two shards have members of one name, the shard's name goes in front.

    Args:
        path: What was asked for, for messages.
        shards: The files, from `find_shards`.

    Raises:
        DataError: a shard is no whole tar file, or none holds an image.
    """

    def __init__(self, path: str | Path, shards: list[Path]):
        self.shards = shards
        names, places = _kept_index(shards)
        if len(set(names)) < len(names):
            names = [f"{shards[shard].name}/{name}" for name, shard in zip(names, places[:, 0], strict=True)]
        if not names:
            raise DataError(f"{path}: no shard holds an image ({', '.join(sorted(SUFFIXES))}); check the path")
        order = sorted(range(len(names)), key=names.__getitem__)
        super().__init__(path, [names[index] for index in order])
        self._places = places[order]
        self._open: dict[int, int] = {}

    def __getstate__(self) -> dict:
        return {**vars(self), "_open": {}}

    def encoded(self, index: int) -> bytes:
        shard, offset, size = map(int, self._places[index])
        try:
            if shard not in self._open:
                handle = os.open(self.shards[shard], os.O_RDONLY)
                if len(self._open) >= OPEN_SHARDS:
                    with os.fdopen(handle, "rb") as file:
                        file.seek(offset)
                        return file.read(size)
                if self._open.setdefault(shard, handle) != handle:  # another thread was faster
                    os.close(handle)
            return os.pread(self._open[shard], size, offset)
        except FileNotFoundError as error:
            raise missing(self.where(index)) from error
        except OSError as error:
            raise UnreadableImage(f"{self.where(index)}: cannot be read ({error.strerror}); replace it") from error


def _kept_index(shards: list[Path]) -> tuple[list[str], np.ndarray]:
    """Names and (shard, offset, bytes) of all images, from the cache where it has them."""
    states = [(shard.resolve(), shard.stat()) for shard in shards]
    key = digest(f"{shard} {state.st_size} {state.st_mtime_ns}" for shard, state in states)
    cache = cache_folder("shards") / f"{key}.npz"
    try:
        with np.load(cache) as kept:
            return kept["names"].tobytes().decode(errors=ODD_NAMES).splitlines(), kept["places"]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        pass  # not there, or not whole: list the shards again
    names, places = [], []
    for number, shard in enumerate(track(shards, "list shards", unit="shards")):
        for name, offset, size in _members(shard):
            names.append(name)
            places.append((number, offset, size))
    places = np.array(places, np.int64).reshape(-1, 3)
    _keep(cache, names, places)
    return names, places


def _keep(cache: Path, names: list[str], places: np.ndarray) -> None:
    if any(len(name.splitlines()) != 1 for name in names):
        return  # a name with a line break in it; such an index is not worth another format
    try:
        with atomic_path(cache) as temporary, open(temporary, "wb") as file:
            np.savez(file, names=np.frombuffer("\n".join(names).encode(errors=ODD_NAMES), np.uint8), places=places)
    except BenchError:
        return  # a home that cannot be written: the shards are listed again next time


def _members(shard: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and bytes of each image in a shard."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                tar.members = []  # tarfile would keep them all
                hidden = Path(member.name).name.startswith(".")
                if member.isfile() and not hidden and os.path.splitext(member.name)[1].lower() in SUFFIXES:
                    yield member.name.removeprefix("./"), member.offset_data, member.size
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard}: is no whole tar file ({error}); fetch or write it again") from error
