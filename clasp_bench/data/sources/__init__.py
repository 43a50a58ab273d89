"""Where photos come from: a folder, a list file, an LMDB or tar shards in WebDataset's form, read through one interface.

Whatever they are stored in, photos with the same names and bytes are the same photos in the same order: names are sorted by code point, and the
digest of a label store made from one form fits the others.
"""

from pathlib import Path

from clasp_bench.data.sources.base import PackedNames, PhotoSource
from clasp_bench.data.sources.files import FolderSource, ListSource
from clasp_bench.data.sources.lmdb_source import LmdbSource, is_lmdb
from clasp_bench.data.sources.tar import TarSource, find_shards
from clasp_bench.errors import DataError

__all__ = ["FolderSource", "ListSource", "LmdbSource", "PackedNames", "PhotoSource", "TarSource", "open_photos"]

LIST_SUFFIXES = (".txt", ".lst", ".list")


def open_photos(path: str | Path) -> PhotoSource:
    """Open photos; what they are stored in is told by the path.

    Args:
        path: A folder of image files at any depth; a list file (``.txt``, ``.lst``, ``.list``) with one image a line; an LMDB (a folder with
            ``data.mdb``, or a ``.mdb`` or ``.lmdb`` file); tar shards: a folder of ``.tar`` files, one ``.tar``, or a pattern such as
            ``photos-{00..63}.tar``.
    Raises:
        DataError: there is nothing at `path`, or nothing that holds photos.
    """
    path = Path(path)
    if is_lmdb(path):
        return LmdbSource(path)
    if shards := find_shards(path):
        return TarSource(path, shards)
    if path.is_file():
        if path.suffix.lower() not in LIST_SUFFIXES:
            raise DataError(
                f"{path}: is no form of photos known here; give a folder, a list ({', '.join(LIST_SUFFIXES)}), an LMDB or tar shards"
            )
        return ListSource(path)
    return FolderSource(path)
