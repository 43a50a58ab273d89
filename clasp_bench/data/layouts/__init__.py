"""The official layouts of data sets of people: one module each, which says how it is recognised, what it holds, and
what its authors publish about it.

A new one is a module with a `Layout`, named in `LAYOUTS`; nothing else knows any by name. Nothing here imports torch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, content_digest, refuse, strictly
from clasp_bench.data.layouts.cihp import CIHPLayout
from clasp_bench.data.layouts.citypersons import CityPersonsCOCOLayout, CityPersonsLayout
from clasp_bench.data.layouts.coco import COCOLayout
from clasp_bench.data.layouts.contents import Annotated, Section, Subject
from clasp_bench.data.layouts.crowdhuman import CrowdHumanLayout
from clasp_bench.data.layouts.cuhk03np import CUHK03NPLayout
from clasp_bench.data.layouts.cuhk_pedes import CUHKPEDESLayout
from clasp_bench.data.layouts.duke import DukeLayout
from clasp_bench.data.layouts.lip import LIPLayout
from clasp_bench.data.layouts.market1501 import Market1501Layout
from clasp_bench.data.layouts.mpii import MPIILayout
from clasp_bench.data.layouts.msmt17 import MSMT17Layout
from clasp_bench.data.layouts.pa100k import PA100KLayout
from clasp_bench.data.layouts.penn_fudan import PennFudanLayout
from clasp_bench.data.layouts.peta import PETALayout
from clasp_bench.data.layouts.rapv2 import RAPv2Layout
from clasp_bench.data.layouts.synthped import SynthPedLayout
from clasp_bench.errors import DataError

__all__ = [
    "LAYOUTS",
    "Annotated",
    "Fault",
    "Layout",
    "OnFault",
    "Section",
    "Subject",
    "content_digest",
    "find_layouts",
    "open_as",
    "open_layout",
    "refuse",
    "strictly",
]

LAYOUTS: tuple[type[Layout], ...] = (
    SynthPedLayout,
    DukeLayout,
    CUHK03NPLayout,
    Market1501Layout,
    MSMT17Layout,
    PA100KLayout,
    PETALayout,
    RAPv2Layout,
    LIPLayout,
    CIHPLayout,
    CrowdHumanLayout,
    CUHKPEDESLayout,
    MPIILayout,
    CityPersonsLayout,
    COCOLayout,
    CityPersonsCOCOLayout,
    PennFudanLayout,
)
L = TypeVar("L", bound=Layout)
DEPTH = 2  # folders below the given one in which data sets are looked for


def open_layout(root: str | Path) -> Layout:
    """The data set that `root`, or the one folder directly below it that is a data set, holds.

    Raises:
        DataError: there is no such folder, it is nothing known or several things, its version cannot be told, or it
            is not to be read, or cannot be.
    """
    unread: list[Fault] = []
    found = _looked_into(root, 1, unread.append, universes=False)
    if not found and unread:
        refuse(unread[0])
    if not found:
        raise DataError(f"{root}: is no data set known here, which would hold {_signs()}")
    if len(found) > 1:
        names = ", ".join(f"{folder.name} ({kind.title})" for folder, kind in found[:4])
        raise DataError(
            f"{root}: holds {len(found)} data sets, {names}{' and more' if len(found) > 4 else ''}; give the folder of one"
        )
    ((folder, kind),) = found
    return kind.all_at(folder)[0]


def open_as(kind: type[L], root: str | Path, **arguments) -> L:
    """The data set of one kind that `root`, or the one folder directly below it that is a data set, holds.

    Args:
        arguments: Of the kind's constructor, beside the root.
    Raises:
        DataError: see `open_layout`; or it is of another kind.
    """
    layout = open_layout(root)
    if not isinstance(layout, kind) and not kind.is_at(layout.root):  # two forms of one data set may lie in a folder
        raise DataError(f"{layout.root}: is {layout.kind} and not {kind.title}; {layout.in_place_of(kind)}")
    return kind(layout.root, **arguments)


def find_layouts(root: str | Path) -> Iterator[Layout | Fault]:
    """Every data set in `root` and the folders below it, and in place of what cannot be opened or read the reason.

    Raises:
        DataError: there is no such folder.
    """
    unread: list[Fault] = []
    for folder, kind in _looked_into(root, DEPTH, unread.append, universes=True):
        try:
            yield from kind.all_at(folder)
        except DataError as error:
            yield Fault.of(error, folder)
    yield from unread


def _looked_into(root: str | Path, depth: int, on_fault: OnFault, universes: bool) -> list[tuple[Path, type[Layout]]]:
    """Folders that are data sets, and of what kind: `root`, or else those below it. `universes` are looked into too.
    Told to `on_fault`: folders that cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; check the path")
    try:
        kind = next((kind for kind in LAYOUTS if kind.is_at(root)), None)
        deeper = depth and (kind is None or (kind is SynthPedLayout and universes))
        below = root.iterdir() if deeper else ()
        folders = sorted(path for path in below if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        on_fault(
            Fault(Path(error.filename), f"cannot be read ({error.strerror})", "make it readable or give another folder")
        )
        return []
    found = [] if kind is None else [(root, kind)]
    for folder in folders:
        found += _looked_into(folder, depth - 1, on_fault, universes)
    return found


def _signs() -> str:
    signs = [f"{kind.signs[0]} ({kind.title})" for kind in LAYOUTS if kind is not DukeLayout]
    return ", ".join(dict.fromkeys(signs[:-1])) + f" or {signs[-1]}"
