"""Photos in an LMDB: keys are names in UTF-8, values encoded images. Needs the package lmdb, imported when the first one is opened."""

import os
from pathlib import Path

from clasp_bench.data.sources.base import PhotoSource, missing
from clasp_bench.errors import DataError

DATA_FILE = "data.mdb"
FILE_SUFFIXES = (".lmdb", ".mdb")
BOOKKEEPING = b"__"  # keys that begin so (__len__, __keys__) hold no photo

_open_here: dict[Path, tuple[int, object]] = {}  # path to the process that opened it and the environment


def is_lmdb(path: Path) -> bool:
    """Whether `path` is an LMDB: a folder with ``data.mdb``, or a file of one of `FILE_SUFFIXES`."""
    return (path / DATA_FILE).is_file() or (path.is_file() and path.suffix.lower() in FILE_SUFFIXES)


class LmdbSource(PhotoSource):
    """The photos of an LMDB, in the order of its keys (UTF-8 sorts by bytes as it does by code point).

    Raises:
        DataError: the package lmdb is missing, the file is no LMDB, holds nothing, or has a key that is no text.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        with _environment(path.resolve()).begin() as transaction:
            keys = [key for key in transaction.cursor().iternext(values=False) if not key.startswith(BOOKKEEPING)]
        try:
            names = [key.decode() for key in keys]
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: the key {error.object!r} is no text; write photos under their names") from error
        if not names:
            raise DataError(f"{path}: holds no photo; check the path")
        super().__init__(path, names)

    def encoded(self, index: int) -> bytes:
        with _environment(self.path.resolve()).begin() as transaction:
            value = transaction.get(self.names[index].encode())
        if value is None:
            raise missing(self.where(index))
        return value


def _environment(path: Path):
    """The open LMDB. A process may open one file once only, and a forked one must not use its parent's."""
    process, environment = _open_here.get(path, (None, None))
    if process == os.getpid():
        return environment
    if environment is not None:
        environment.close()  # inherited by fork
    try:
        import lmdb
    except ImportError as error:
        raise DataError(f"{path}: reading it needs the package lmdb; pip install lmdb") from error
    try:
        environment = lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise DataError(f"{path}: cannot be opened as an LMDB ({error}); write it again") from error
    _open_here[path] = os.getpid(), environment
    return environment
