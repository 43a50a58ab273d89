"""What layouts for re-identification share: sightings of people by cameras."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, refuse
from clasp_bench.data.layouts.contents import Annotated, Subject

JUNK, DISTRACTOR = -1, 0


@dataclass(frozen=True)
class Sightings:
    """Photos of one part.

    Attributes:
        names: Relative to the data set's root, with the folder.
        person_ids: (N,) int64. In Market-1501's layout -1 is junk and 0 a distractor.
        camera_ids: (N,) int64, from 1.
    """

    names: list[str]
    person_ids: np.ndarray
    camera_ids: np.ndarray

    @classmethod
    def of(cls, rows: list[tuple[str, int, int]]) -> "Sightings":
        """From rows of name, person and camera."""
        names, people, cameras = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(list(names), np.array(people, dtype=np.int64), np.array(cameras, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.names)

    def take(self, chosen: np.ndarray) -> "Sightings":
        """The sightings at `chosen`, indices or a mask."""
        return Sightings(
            list(np.asarray(self.names, dtype=object)[chosen]), self.person_ids[chosen], self.camera_ids[chosen]
        )

    def __add__(self, other: "Sightings") -> "Sightings":
        return Sightings(
            self.names + other.names,
            np.concatenate([self.person_ids, other.person_ids]),
            np.concatenate([self.camera_ids, other.camera_ids]),
        )


class ReIDLayout(Layout):
    """A data set for re-identification.

    Attributes:
        test_counts_anew: People of the test half are numbered from 0 again, so that a number is no person by itself.
        marks_junk: Person -1 and 0 are Market-1501's junk and distractors.
    """

    whole = True
    test_counts_anew = False
    marks_junk = False

    @abstractmethod
    def sightings(self, on_fault: OnFault = refuse) -> dict[str, Sightings]:
        """The photos by part: train (and val, if the authors set one aside), query and gallery."""

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for part, sightings in self.sightings(on_fault).items():
            for name, person, camera in zip(
                sightings.names, sightings.person_ids.tolist(), sightings.camera_ids.tolist(), strict=True
            ):
                if not 1 <= camera <= self.cameras:
                    on_fault(
                        Fault(
                            self.root / name,
                            f"says camera {camera}, but {self.title} has cameras 1 to {self.cameras}; fetch it again",
                        )
                    )
                yield Annotated(self.root / name, *self._who(part, person), camera)

    def _who(self, part: str, person: int) -> tuple[str, list[Subject]]:
        if self.marks_junk and person == DISTRACTOR:
            return "distractors", []
        if self.marks_junk and person == JUNK:
            return "junk", [Subject()]
        anew = self.test_counts_anew and part in ("query", "gallery")
        return part, [Subject(f"test-{person}" if anew else person)]
