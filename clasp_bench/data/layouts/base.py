"""What all official layouts share: a folder is recognised by its files, read strictly or with every fault reported,
and told apart by a digest.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypeVar

from clasp_bench.data.layouts.contents import Annotated, Section
from clasp_bench.data.rendered import universe_of
from clasp_bench.errors import DataError
from clasp_bench.files import digest, digest_file

T = TypeVar("T")
FAULTS_SHOWN = 4
MISSHAPEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)  # what values of another kind than expected raise


@dataclass(frozen=True)
class Fault:
    """Something wrong in a data set: where, what (in words that follow a colon), and the mend, if `what` does not say it."""

    where: Path
    what: str
    mend: str = ""

    @classmethod
    def of(cls, error: DataError, root: Path) -> "Fault":
        """What an error about `root`, or a file below it, says."""
        where, _, what = str(error).partition(": ")
        return cls(Path(where), what) if where.startswith(str(root)) else cls(root, str(error))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" + (f"; {self.mend}" if self.mend else "")
        return text.encode(errors="backslashreplace").decode()  # a name that is not UTF-8 cannot be printed


OnFault = Callable[[Fault], None]


def refuse(fault: Fault) -> None:
    """Read strictly.

    Raises:
        DataError: always, with the fault as its sentence.
    """
    raise DataError(str(fault))


def strictly(read: Callable[[OnFault], T]) -> T:
    """What `read` reads, if it finds no fault.

    Raises:
        DataError: one sentence with the faults found, the first four in words.
    """
    faults: list[Fault] = []
    content = read(faults.append)
    if faults:
        told = faults[:FAULTS_SHOWN]
        said = [
            fault.what if number and fault.where == told[number - 1].where else f"{fault.where}: {fault.what}"
            for number, fault in enumerate(told)
        ]
        more = [f"and {len(faults) - FAULTS_SHOWN} more faults"] if len(faults) > FAULTS_SHOWN else []
        raise DataError("; ".join([*said, *more, *filter(None, [told[-1].mend])]))
    return content


@contextmanager
def telling(on_fault: OnFault, path: Path, what: str) -> Iterator[None]:
    """Read an entry of an annotation. Told to `on_fault`: `what`, with the reason, if the entry has not the shape that is read."""
    try:
        yield
    except MISSHAPEN as error:
        on_fault(Fault(path, f"{what} ({error!r}); fetch it again"))


class Layout(ABC):
    """A data set in the layout its authors give it. Opening one reads nothing but what tells its version.

    Attributes:
        name: What records call the data set.
        title: What people call it.
        signs: Patterns of files or folders, any of which says that a folder may be this.
        version: Which of the data set's versions the folder holds; empty where there is one only.
        official: For each version, how many pictures its authors publish by part.
        whole: Every published part must be there; else those that a folder lacks are not asked for.
        counts_people: `official` counts people and not pictures.
        may_repeat: That a picture is named twice is no fault, or one that the reader itself tells of.
        cameras: Cameras count from 1 to this.
        holds: What the pictures show.
        attributes: Names of all attributes that the pictures are labelled with.
        category: What detectors call the people in it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    signs: ClassVar[tuple[str, ...]]
    official: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    whole: ClassVar[bool] = False
    counts_people: ClassVar[bool] = False
    may_repeat: ClassVar[bool] = False
    cameras: ClassVar[int | None] = None
    holds: ClassVar[str] = "photos of people"
    category: ClassVar[str] = "person"
    version: str = ""
    attributes: tuple[str, ...] = ()

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def in_place_of(self, wanted: type["Layout"]) -> str:
        """What to do where another layout is wanted."""
        return "give another folder, or the data set of that name in the config"

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether `root` holds this layout."""
        return any(next(root.glob(sign), None) is not None for sign in cls.signs)

    @classmethod
    def all_at(cls, root: Path) -> list["Layout"]:
        """The data sets that `root` holds, where one folder can be read in several ways the usual one first.

        Raises:
            DataError: its version cannot be told, or it is not to be read.
        """
        return [cls(root)]

    @property
    def key(self) -> str:
        """Name and version, as records have it."""
        return f"{self.name}-{self.version}" if self.version else self.name

    @property
    def kind(self) -> str:
        """What the folder is, in words."""
        whose = f"{self.title}'" if self.title.lower().endswith("s") else f"{self.title}'s"
        return f"{whose} layout" + (f" ({self.version})" if self.version else "")

    @property
    def rendered(self) -> bool:
        """Whether it belongs to a SynthPed universe, so that no official count applies."""
        return universe_of(self.root) is not None

    @cached_property
    def sections(self) -> list[Section]:
        """The pictures by kind, read strictly."""
        return [Section(self.holds, self.pictures, self.attributes)]

    @abstractmethod
    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        """Every picture with its label, from the annotation alone: that the files are there is not looked at.

        Args:
            on_fault: Is told what is wrong in the annotation. If it returns, reading goes on without the faulty entry.
        Raises:
            DataError: what `on_fault` raises, or an annotation that cannot be read at all.
        """

    def entries(self) -> Iterator[tuple[str, str]]:
        """Name relative to `root` and label of every file that belongs to the data set."""
        for picture in self.pictures():
            yield picture.file.relative_to(self.root).as_posix(), picture.label()
            if picture.parsing is not None:
                yield picture.parsing.relative_to(self.root).as_posix(), "parts"

    def scored_by(self) -> list[Path]:
        """Files beside the labels whose every byte changes a figure: a detector's boxes, the sizes of heads."""
        return []

    def digest(self) -> str:
        """Digest of all labels and files, whatever folder they lie in.

        Raises:
            DataError: a file is missing or a label wrong.
        """
        entries = [
            *self.entries(),
            *((path.relative_to(self.root).as_posix(), digest_file(path)) for path in self.scored_by()),
        ]
        return content_digest(self.root, entries)


def content_digest(root: Path, entries: Iterable[tuple[str, str]]) -> str:
    """Digest of a labelled set: name, size in bytes and label of every file, whatever folder it lies in.

    Sizes tell two sets apart whose files have the same names (two SynthPed universes, a resized copy); reading every
    byte of a large set would not be worth the minutes.

    Args:
        root: Folder of the files.
        entries: Name relative to `root`, and label as text.
    Raises:
        DataError: a file is missing.
    """
    try:
        return digest(f"{name} {(root / name).stat().st_size} {label}" for name, label in entries)
    except OSError as error:
        raise DataError(
            f"{error.filename}: cannot be read ({error.strerror}); run `clasp-bench data verify {root}` for all that is missing"
        ) from error


def shared_people(where: Path, train: Collection, test: Collection, names: tuple[str, str]) -> Iterator[Fault]:
    """The fault of people who are in both of two parts called `names`, if there are any."""
    both = sorted(set(train) & set(test))
    if both:
        yield Fault(
            where,
            f"{len(both)} people of {names[0]} (first {both[0]}) are also in {names[1]}, so test scores would flatter; "
            "the two must share nobody",
        )
