"""RAPv2: indoor surveillance photos in ``RAP_dataset/`` and ``RAP_annotation/RAP_annotation.mat``.

Source: Li et al., "A Richly Annotated Pedestrian Dataset for Person Retrieval in Real Surveillance Scenarios", IEEE
TIP 2019, and the authors' code (github.com/dangweili/RAP). The struct ``RAP_annotation`` has ``name`` (84,928 files),
``attribute`` (152 names), ``data`` (84,928 x 152: 0, 1, or 2 for what cannot be told), ``selected_attribute`` (54
numbers from 1), ``partition_attribute`` (five splits with ``train_index``, ``val_index`` and ``test_index`` from 1;
the first one is used) and ``person_identity`` (-1 where unknown). 2 counts as 0, as in published figures. RAPv1 has
92 attributes and no ``selected_attribute``.

A split of one's own (see `read_split`) makes it the zero-shot protocol RAPzs, without the attribute Age46-60, which
leaves 53: Jia et al., "Rethinking of Pedestrian Attribute Recognition", 2021. They publish it as
``dataset_zs_run0.pkl``; a pickle can run code when it is opened, so it never is: write its numbers (``partition``,
from 0) as JSON.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from clasp_bench.data.layouts.attributes import (
    SPLITS,
    AttributeAnnotation,
    AttributeLayout,
    binary,
    inside,
    read_split,
    splits_beside,
)
from clasp_bench.data.layouts.base import OnFault, refuse, shared_people
from clasp_bench.data.layouts.reading import as_list, read_mat
from clasp_bench.errors import DataError

ANNOTATION = "RAP_annotation/RAP_annotation.mat"
NOT_IN_ZERO_SHOT = "Age46-60"
UNKNOWN = 2


class RAPv2Layout(AttributeLayout):
    """RAPv2 with its 54 selected attributes, or 53 with a zero-shot split.

    Args:
        root: Folder of RAP_dataset and RAP_annotation.
        split_file: JSON file below `root` with a zero-shot split; see `read_split`. Without one, the annotation's
            first split.
    """

    name, title = "rapv2", "RAPv2"
    signs = (ANNOTATION,)
    folder = "RAP_dataset"
    official: ClassVar = {"54": {"train": 50957, "val": 16986, "test": 16985}}

    def __init__(self, root: str | Path, split_file: str | None = None):
        super().__init__(root)
        self.split_file = split_file
        self.version = f"{Path(split_file).stem}-53" if split_file else "54"

    @classmethod
    def all_at(cls, root: Path) -> list["RAPv2Layout"]:
        return [cls(root), *(cls(root, split) for split in splits_beside(root))]

    def read(self, on_fault: OnFault = refuse) -> AttributeAnnotation:
        """Read the annotation and the split.

        Raises:
            DataError: the annotation is missing, torn, or RAPv1's. Told to `on_fault`: labels that are not 0, 1 or 2,
                faults of the split, and people of a zero-shot split who are in train and test.
        """
        path = self.root / ANNOTATION
        try:
            content = read_mat(path)["RAP_annotation"]
            names = [str(name) for name in as_list(content["name"])]
            everything = [str(attribute) for attribute in as_list(content["attribute"])]
            table = np.asarray(content["data"]).reshape(len(names), len(everything))
            chosen = [int(number) - 1 for number in as_list(content["selected_attribute"])]
            first = as_list(content["partition_attribute"])[0]
            published = {part: first[f"{part}_index"] for part in SPLITS}
            people = np.asarray(content["person_identity"]).reshape(len(names)).tolist()
            attributes = [everything[number] for number in chosen]
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise DataError(
                f"{path}: is not RAPv2's annotation ({error!r}); RAPv1 is not read here, else fetch the file again"
            ) from error
        labels = binary(path, table[:, chosen], names, attributes, on_fault, UNKNOWN)
        if not self.split_file:
            split = inside(path, published, len(names), on_fault)
        else:
            split = read_split(self.root / self.split_file, names, on_fault)
            found = {part: {people[row] for row in split[part] if people[row] > 0} for part in SPLITS}
            for part in ("train", "val"):
                for fault in shared_people(self.root / self.split_file, found[part], found["test"], (part, "test")):
                    on_fault(fault)
            kept = [column for column, attribute in enumerate(attributes) if attribute != NOT_IN_ZERO_SHOT]
            attributes, labels = [attributes[column] for column in kept], labels[:, kept]
        known = {name: person for name, person in zip(names, people, strict=True) if person > 0}
        return AttributeAnnotation.split(attributes, names, labels, split, known)
