"""PA-100K and what is written in its layout: photos in ``data/`` and 26 binary attributes in ``annotation.mat``.

Source: Liu et al., "HydraPlus-Net: Attentive Deep Features for Pedestrian Analysis", ICCV 2017. The file's keys are
``attributes`` (26 names) and, for each of train, val and test, ``{split}_images_name`` (n file names) and
``{split}_label`` (n x 26, 0 or 1).
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import ClassVar

import numpy as np

from clasp_bench.data.layouts.attributes import SPLITS, AttributeAnnotation, AttributeLayout
from clasp_bench.data.layouts.base import Fault, OnFault, refuse
from clasp_bench.data.layouts.reading import read_mat
from clasp_bench.errors import DataError

KEYS = ("attributes", *(f"{split}_{what}" for split in SPLITS for what in ("images_name", "label")))
NUM_ATTRIBUTES = 26
MEND = "mend the file or take the official one"


class PA100KLayout(AttributeLayout):
    """PA-100K."""

    name, title = "pa100k", "PA-100K"
    signs = ("annotation.mat",)
    folder = "data"
    official: ClassVar = {"": {"train": 80000, "val": 10000, "test": 10000}}
    may_repeat = True  # told of below, with the labels compared

    def read(self, on_fault: OnFault = refuse) -> AttributeAnnotation:
        """Read ``annotation.mat`` and check all of it against itself.

        Raises:
            DataError: it is missing or torn. Told to `on_fault`: missing or unknown keys, wrong shapes or values,
                empty names, names given twice (and whether their labels agree). What has no name or no label of the
                right shape is left out.
        """
        path = self.root / "annotation.mat"
        if not path.is_file() or not (self.root / "data").is_dir():
            absent = "data/" if path.is_file() else "annotation.mat"
            raise DataError(
                f"{self.root}: is not laid out as PA-100K, {absent} is missing; give the folder with annotation.mat and data/"
            )
        content = read_mat(path, plain=False)

        def tell(faults: Iterator[str]) -> bool:
            told = [on_fault(Fault(path, fault, MEND)) for fault in faults]
            return bool(told)

        tell(_key_faults(content))
        attributes = _texts(content.get("attributes", np.array([])))
        names, labels = {}, {}
        if tell(_attribute_faults(attributes)):
            return AttributeAnnotation([], {}, {})
        for split in SPLITS:
            named, label = content.get(f"{split}_images_name"), content.get(f"{split}_label")
            if named is None or label is None:
                continue
            texts = _texts(named)
            tell(
                f"entry {row} of {split}_images_name is empty" for row, text in enumerate(texts, 1) if not text.strip()
            )
            if tell(_shape_faults(split, texts, label, attributes)):
                continue
            named_rows = [row for row, text in enumerate(texts) if text.strip()]
            names[split] = [texts[row] for row in named_rows]
            labels[split] = np.asarray(label)[named_rows].astype(np.uint8)
        tell(_repeat_faults(names, labels))
        return AttributeAnnotation(attributes, names, labels)


def _key_faults(content: dict) -> Iterator[str]:
    yield from (f"key {key!r} is missing" for key in KEYS if key not in content)
    for key in content:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            yield f"key {key!r} is not PA-100K's" + (f" (a misspelt {near[0]!r}?)" if near else "")


def _texts(cells: np.ndarray) -> list[str]:
    """Texts of a MATLAB cell array of strings; a cell that holds no text gives an empty one."""
    return [str(cell.item()) if cell.size == 1 else "" for cell in map(np.asarray, cells.ravel())]


def _attribute_faults(attributes: list[str]) -> Iterator[str]:
    if len(set(attributes)) != NUM_ATTRIBUTES:
        yield f"attributes names {len(set(attributes))} different attributes where PA-100K has {NUM_ATTRIBUTES}"


def _shape_faults(split: str, names: list[str], label: np.ndarray, attributes: list[str]) -> Iterator[str]:
    expected = (len(names), len(attributes))
    if label.shape != expected:
        yield f"{split}_label has shape {label.shape} where {split}_images_name asks for {expected}"
    else:
        yield from (
            f"{split}_label holds {label[row, column]} for {names[row]}, {attributes[column]}, not 0 or 1"
            for row, column in np.argwhere(~np.isin(label, (0, 1)))
        )
    if not names:
        yield f"{split}_images_name is empty"


def _repeat_faults(names: dict, labels: dict) -> Iterator[str]:
    seen: dict[str, tuple[str, int]] = {}
    for split in names:
        for row, name in enumerate(names[split]):
            if name in seen:
                other, other_row = seen[name]
                agree = np.array_equal(labels[split][row], labels[other][other_row])
                yield (
                    f"{name} is entry {other_row + 1} of {other}_images_name and entry {row + 1} of {split}_images_name, "
                    f"with {'the same' if agree else 'different'} labels"
                )
            seen[name] = (split, row)
