"""Atomic writing and digests: a file is either the old one or the whole new one."""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clasp_bench.errors import BenchError, DataError

UNFINISHED = ".part"


def sweep(folder: str | Path, idle: float = 0) -> None:
    """Remove what writers that were killed left unfinished in a folder.

    Args:
        idle: Seconds for which nothing was written to it; 0 only where nobody else writes into the folder now.
    """
    for left in Path(folder).glob(f".*{UNFINISHED}"):
        with suppress(FileNotFoundError):  # its writer, which lives, has just finished it
            if not idle or left.stat().st_mtime < time.time() - idle:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def unwritable(path: str | Path, error: Exception) -> BenchError:
    """The sentence on a file or folder that could not be written."""
    reason = getattr(error, "strerror", None) or error
    return BenchError(f"{path}: could not be written ({reason}); free space or choose another folder")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success sync it and rename it into place, on failure remove it.

    Raises:
        BenchError: the disk is full or the folder cannot be written; `path` is then as it was.
    """
    path = Path(path)
    # a name may have 255 bytes, and a character up to 4 of them
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # what made writing fail may make this fail too
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write `data` to `path` atomically and return the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` to `path` atomically as UTF-8, with escapes for bytes of file names that are not, and return the path."""
    return write_bytes(path, text.encode(errors="backslashreplace"))


def cache_folder(name: str) -> Path:
    """Our folder of that name below ``$XDG_CACHE_HOME``, where set, else below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "clasp-bench", name)


def digest(content: bytes | Iterable[str]) -> str:
    """SHA-256 in hex of bytes, or of strings (each ended by a newline, so that no two lists collide by concatenation).

    Raises:
        DataError: a string, thus a file's name, is not valid Unicode.
    """
    sha = hashlib.sha256()
    if isinstance(content, bytes):
        sha.update(content)
    else:
        for line in content:
            try:
                sha.update(line.encode() + b"\n")
            except UnicodeEncodeError as error:
                raise DataError(f"{line!r}: this file name is not valid UTF-8; rename the file") from error
    return sha.hexdigest()


def digest_file(path: str | Path) -> str:
    """SHA-256 in hex of a file's bytes."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
