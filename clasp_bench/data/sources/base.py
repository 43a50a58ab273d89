"""What every source of photos is: names in a fixed order, and the encoded bytes of each."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from clasp_bench.data.images import decode_rgb, resize
from clasp_bench.errors import DataError, UnreadableImage
from clasp_bench.files import digest

SAMPLED = 16


class PackedNames(Sequence[str]):
    """Strings in one block of memory: a million names cost their letters and 8 bytes each, and data workers share them with their parent.

    Raises:
        DataError: a name is not valid Unicode (a file name in an old encoding).
    """

    def __init__(self, names: Iterable[str]):
        try:
            encoded = [name.encode() for name in names]
        except UnicodeEncodeError as error:
            raise DataError(f"{error.object!r}: this file name is not valid UTF-8; rename the file") from error
        self._ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
        self._letters = np.frombuffer(b"".join(encoded), np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"name {index} of {len(self)}")
        index %= len(self)
        return self._letters[self._ends[index - 1] if index else 0 : self._ends[index]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))


class PhotoSource(ABC):
    """Photos by number. It never changes once it is open; threads may read it, and so may forked and spawned workers.

    Attributes:
        path: What was opened, as given.
        names: Name of each photo, sorted by code point.
    """

    def __init__(self, path: str | Path, names: Iterable[str]):
        self.path, self.names = Path(path), PackedNames(names)

    def __len__(self) -> int:
        return len(self.names)

    def __deepcopy__(self, memo: dict) -> "PhotoSource":
        return self  # it never changes

    @cached_property
    def digest(self) -> str:
        """Digest of the names in order and of the bytes of `SAMPLED` photos spread evenly: says which photos a label store belongs to."""
        spread = sorted({len(self) * number // SAMPLED for number in range(SAMPLED)})
        return digest(chain(self.names, map(self._bytes_digest, spread)))

    def _bytes_digest(self, index: int) -> str:
        """Digest of one photo's bytes; of none, where they cannot be read."""
        try:
            return digest(self.encoded(index))
        except UnreadableImage:
            return ""

    def where(self, index: int) -> str:
        """How messages call photo `index`."""
        return f"{self.path}/{self.names[index]}"

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """The bytes of photo `index`, for instance a JPEG.

        Raises:
            UnreadableImage: they cannot be read.
        """

    def resized(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` decoded and resized to `size` = (height, width), antialiased: (height, width, 3) uint8 RGB.

        Raises:
            UnreadableImage: it cannot be read or decoded.
        """
        return resize(decode_rgb(self.encoded(index), self.where(index)), size)


def missing(where: str) -> UnreadableImage:
    """The fault of a photo that was listed and is gone."""
    return UnreadableImage(f"{where}: there is no such image file")
