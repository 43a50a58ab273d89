"""Second names for pictures, and long JSON files, without holding either in memory."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from clasp_bench.errors import BenchError
from clasp_bench.files import atomic_path


def link(source: Path, target: Path) -> None:
    """Give `source` a second name; a file system without hard links gets a copy.

    Raises:
        BenchError: `target` cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise BenchError(
            f"{target}: could not be written ({error.strerror or error}); free space and run the same command again"
        ) from error


def write_json(path: Path, content: Mapping[str, object] | Iterator) -> None:
    """Write JSON in which iterators stand for lists: their items are written as they come, so that none is kept.

    Args:
        content: An object some of whose values may be iterators, or an iterator for a file that is one list.
    Raises:
        BenchError: the disk is full.
    """
    with atomic_path(path) as temporary, open(temporary, "w") as file:
        if isinstance(content, Iterator):
            _write_list(file, content)
            return
        for number, (key, value) in enumerate(content.items()):
            file.write(f"{',' if number else '{'}\n{json.dumps(key)}: ")
            if isinstance(value, Iterator):
                _write_list(file, value)
            else:
                file.write(json.dumps(value))
        file.write("\n}\n")


def _write_list(file, items: Iterator) -> None:
    file.write("[")
    for number, item in enumerate(items):
        file.write(f"{',' if number else ''}\n{json.dumps(item)}")
    file.write("\n]")


def write_lines(path: Path, lines: Iterator[str]) -> None:
    """Write lines of text as they come.

    Raises:
        BenchError: the disk is full.
    """
    with atomic_path(path) as temporary, open(temporary, "w") as file:
        file.writelines(f"{line}\n" for line in lines)


def stem(record: dict) -> str:
    """A picture's name without folder and suffix; unique within its kind."""
    return Path(record["file"]).stem
