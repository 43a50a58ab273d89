"""What layouts for attribute recognition share: named photos of each part, and a row of zeros and ones for each."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, content_digest, refuse
from clasp_bench.data.layouts.contents import Annotated, Subject
from clasp_bench.data.layouts.reading import read_json
from clasp_bench.errors import DataError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class AttributeAnnotation:
    """What an annotation says, checked.

    Attributes:
        attributes: Their names, in the order of the label columns.
        names: File names of each split, relative to the layout's folder.
        labels: (n, attributes) uint8 of each split, 0 or 1.
        people: Who is on a photo, by its name, where the data set says so.
    """

    attributes: list[str]
    names: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    people: Mapping[str, int | str] = field(default_factory=dict)

    @classmethod
    def split(
        cls, attributes: list[str], names: list[str], labels: np.ndarray, rows: dict[str, list[int]], people: Mapping
    ) -> "AttributeAnnotation":
        """From all photos and the rows of each split."""
        return cls(
            attributes,
            {part: [names[row] for row in chosen] for part, chosen in rows.items()},
            {part: labels[chosen] for part, chosen in rows.items()},
            people,
        )

    def rows(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Split, file name and label of each photo."""
        for split, names in self.names.items():
            yield from ((split, name, label) for name, label in zip(names, self.labels[split], strict=True))


class AttributeLayout(Layout):
    """A data set for attribute recognition.

    Attributes:
        folder: Of the photos, below the root.
    """

    folder: str

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.read().attributes)

    @abstractmethod
    def read(self, on_fault: OnFault = refuse) -> AttributeAnnotation:
        """The annotation. Told to `on_fault`: what is wrong in it.

        Raises:
            DataError: it cannot be read at all.
        """

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        annotation = self.read(on_fault)
        for split, name, row in annotation.rows():
            given = [attribute for attribute, value in zip(annotation.attributes, row, strict=True) if value]
            subject = Subject(annotation.people.get(name), attributes=given)
            yield Annotated(self.root / self.folder / name, split, [subject])

    def digest(self) -> str:
        rows = ((name, f"{split} {''.join(map(str, label))}") for split, name, label in self.read().rows())
        return content_digest(self.root / self.folder, rows)


def read_split(path: Path, photos: list[str], on_fault: OnFault, by_number: bool = True) -> dict[str, list[int]]:
    """A split of one's own or a published one, from JSON: ``{"train": [...], "val": [...], "test": [...]}``.

    Args:
        photos: Names of all photos. An entry is the number of one of them, from 0, or its name.
        by_number: Whether entries may be numbers: where the order of `photos` is the authors'.
    Returns:
        Numbers of the photos of train, val and test.
    Raises:
        DataError: the file is no such JSON. Told to `on_fault`: an entry that is no photo, or a photo that is named
            twice.
    """
    content = read_json(path)
    if not is_split(content):
        raise DataError(f'{path}: is no split; write {{"train": [...], "val": [...], "test": [...]}}')
    numbers = {name: number for number, name in enumerate(photos)}
    seen: dict[int, str] = {}
    split = {}
    for part in SPLITS:
        split[part] = []
        for position, entry in enumerate(content[part], start=1):
            number = numbers.get(entry) if isinstance(entry, str) else entry
            known = type(number) is int and 0 <= number < len(photos)  # JSON's true is no number
            if not known or not (by_number or isinstance(entry, str)):
                wanted = (
                    f"a number from 0 to {len(photos) - 1}, or a name" if by_number else f"a name such as {photos[0]}"
                )
                on_fault(Fault(path, f"entry {position} of {part} is {entry!r}, which is no photo; write {wanted}"))
            elif number in seen:
                twice = f"entry {position} of {part} names {photos[number]}, as {seen[number]} does; keep one"
                on_fault(Fault(path, twice))
            else:
                seen[number] = part
                split[part].append(number)
    return split


def is_split(content: object) -> bool:
    """Whether JSON looks like a split."""
    return isinstance(content, dict) and all(isinstance(content.get(part), list) for part in SPLITS)


def splits_beside(root: Path) -> list[str]:
    """Names of the JSON files in `root` that hold a split."""
    return [path.name for path in sorted(root.glob("*.json")) if is_split(read_json(path))]


def inside(path: Path, split: dict[str, np.ndarray], photos: int, on_fault: OnFault) -> dict[str, list[int]]:
    """Rows of each part of the authors' split, which counts from 1. Told to `on_fault`: numbers that are no photo's,
    which are left out.
    """
    rows = {part: np.atleast_1d(numbers).astype(np.int64) - 1 for part, numbers in split.items()}
    for part, chosen in rows.items():
        for row in chosen[(chosen < 0) | (chosen >= photos)].tolist():
            on_fault(
                Fault(path, f"{part} of the first split names photo {row + 1}, but there are {photos}; fetch it again")
            )
    return {part: chosen[(chosen >= 0) & (chosen < photos)].tolist() for part, chosen in rows.items()}


def binary(
    path: Path,
    labels: np.ndarray,
    names: list[str],
    attributes: list[str],
    on_fault: OnFault,
    unknown: int | None = None,
):
    """Labels as uint8 of 0 and 1; `unknown` counts as 0. Told to `on_fault`: any other value, which is then 0.

    Args:
        labels: (n, attributes).
    """
    allowed = (0, 1) if unknown is None else (0, 1, unknown)
    for row, column in np.argwhere(~np.isin(labels, allowed)):
        on_fault(
            Fault(
                path,
                f"the label of {names[row]}, {attributes[column]}, is {labels[row, column]}, not one of {allowed}; fetch it again",
            )
        )
    return (labels == 1).astype(np.uint8)
