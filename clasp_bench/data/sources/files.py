"""Photos as image files: all below a folder, or those that a list names."""

from itertools import pairwise
from pathlib import Path

from clasp_bench.data.images import list_images
from clasp_bench.data.sources.base import PhotoSource, missing
from clasp_bench.errors import DataError, UnreadableImage


class FolderSource(PhotoSource):
    """Every image file below a folder; names are relative to it.

    Raises:
        DataError: there is no such folder, or no image in it.
    """

    def __init__(self, path: str | Path, names: list[str] | None = None):
        super().__init__(path, list_images(path) if names is None else names)
        self.folder = Path(path)

    def encoded(self, index: int) -> bytes:
        try:
            return (self.folder / self.names[index]).read_bytes()
        except FileNotFoundError as error:
            raise missing(self.where(index)) from error
        except OSError as error:
            raise UnreadableImage(f"{self.where(index)}: cannot be read ({error.strerror}); replace it") from error


class ListSource(FolderSource):
    """The image files that a UTF-8 text file names, one a line, relative to the list's own folder; empty lines and lines from ``#`` are passed over.

    The order of the lines does not matter: photos are sorted, as everywhere.

    Raises:
        DataError: the list is empty, names a photo twice, or is no text.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as a list of photos ({error}); write one name a line") from error
        names = sorted(line for line in lines if line and not line.startswith("#"))
        if not names:
            raise DataError(f"{path}: names no photo; write one name a line, relative to {path.parent}")
        if twice := next((name for name, after in pairwise(names) if name == after), None):
            raise DataError(f"{path}: names {twice} twice; keep one of the lines")
        super().__init__(path, names)
        self.folder = path.parent

    def where(self, index: int) -> str:
        return str(self.folder / self.names[index])
