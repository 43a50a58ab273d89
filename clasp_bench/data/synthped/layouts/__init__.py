"""The official layouts a universe is written in: one module a benchmark, each a pure function of the truth.

Every module has ``write(root, folder)``, which reads the records of the universe `root` one at a time, links the one set of
pictures under the benchmark's names into `folder` and writes its annotation files, each whole or absent. Writing again gives the
same files. ``READS`` names the kinds of records it needs, so that nothing else has to be rendered.
"""

from pathlib import Path
from types import ModuleType

from clasp_bench.data.synthped.layouts import captions, citypersons, coco, crowdhuman, lip, market1501, msmt17, pa100k
from clasp_bench.errors import DataError

MODULES: dict[str, ModuleType] = {
    "market1501": market1501,
    "msmt17": msmt17,
    "pa100k": pa100k,
    "lip": lip,
    "captions": captions,
    "coco": coco,
    "crowdhuman": crowdhuman,
    "citypersons": citypersons,
}


def chosen(names: str | None) -> list[str]:
    """Layouts named in a comma-separated list, in `MODULES`' order; None means all.

    Raises:
        DataError: a name is unknown.
    """
    wanted = list(MODULES) if names is None else [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in MODULES]
    if unknown or not wanted:
        raise DataError(
            f"layouts {names!r}: {unknown[0] if unknown else 'nothing'} is no layout; choose of {', '.join(MODULES)}"
        )
    return [name for name in MODULES if name in wanted]


def write(name: str, root: Path) -> None:
    """Write layout `name` into the universe `root`, whose truth is complete for what the layout reads.

    Raises:
        BenchError: the disk is full.
    """
    MODULES[name].write(root, root / name)
