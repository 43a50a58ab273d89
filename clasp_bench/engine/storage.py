"""MMEngine's local file storage with atomic writes: a killed run leaves the last whole checkpoint, never half of one."""

from pathlib import Path

from mmengine.fileio import register_backend
from mmengine.fileio.backends import LocalBackend

from clasp_bench.files import write_bytes, write_text


class AtomicLocalBackend(LocalBackend):
    """`LocalBackend` that writes beside the target, syncs and renames."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_bytes(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        write_text(filepath, obj)


def install() -> None:
    """Make it the storage of every path without a prefix: checkpoints and the file that names the last one."""
    register_backend("local", AtomicLocalBackend, force=True, prefixes="")
