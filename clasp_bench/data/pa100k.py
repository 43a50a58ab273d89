"""PA-100K and what is written in its layout: photos in ``data/`` and 26 binary attributes in ``annotation.mat``.

Source: Liu et al., "HydraPlus-Net: Attentive Deep Features for Pedestrian Analysis", ICCV 2017. The file's keys are ``attributes``
(26 names) and, for each of train, val and test, ``{split}_images_name`` (n file names) and ``{split}_label`` (n x 26, 0 or 1).
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch

from clasp_bench.data.labelled import LabelledCrops, content_digest
from clasp_bench.errors import DataError
from clasp_bench.registry import DATASETS

SPLITS = ("train", "val", "test")
KEYS = ("attributes", *(f"{split}_{what}" for split in SPLITS for what in ("images_name", "label")))
NUM_ATTRIBUTES = 26
FAULTS_SHOWN = 4


@dataclass(frozen=True)
class AttributeAnnotation:
    """What ``annotation.mat`` says, checked.

    Attributes:
        attributes: Their names, in the order of the label columns.
        names: File names of each split, relative to ``data/``.
        labels: (n, 26) uint8 of each split, 0 or 1.
    """

    attributes: list[str]
    names: dict[str, list[str]]
    labels: dict[str, np.ndarray]


def read_pa100k(root: str | Path) -> AttributeAnnotation:
    """Read ``annotation.mat`` below `root` and check all of it against itself and against ``data/``.

    Raises:
        DataError: one sentence with the faults found (the first four in words): missing or unknown keys, wrong shapes or
            values, empty names, names given twice (and whether their labels agree), files that are not there.
    """
    root = Path(root)
    path = root / "annotation.mat"
    if not path.is_file() or not (root / "data").is_dir():
        absent = "data/" if path.is_file() else "annotation.mat"
        raise DataError(
            f"{root}: is not laid out as PA-100K, {absent} is missing; give the folder with annotation.mat and data/"
        )
    content = _load(path)
    _refuse(path, _key_faults(content), _entry_faults(content))
    attributes = _texts(content["attributes"])
    names = {split: _texts(content[f"{split}_images_name"]) for split in SPLITS}
    labels = {split: np.asarray(content[f"{split}_label"]) for split in SPLITS}
    _refuse(path, _shape_faults(attributes, names, labels))
    _refuse(path, _duplicate_faults(names, labels), _missing_faults(names, root / "data"))
    return AttributeAnnotation(attributes, names, {split: label.astype(np.uint8) for split, label in labels.items()})


def _load(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a MATLAB 5 file by key."""
    from scipy.io import loadmat  # half a second that only this reader needs

    try:
        content = loadmat(path)
    except Exception as error:  # a torn file can make the parser raise anything
        raise DataError(f"{path}: cannot be read as a MATLAB 5 file ({error}); fetch it again") from error
    return {key: value for key, value in content.items() if not key.startswith("__")}


def _refuse(path: Path, *fault_lists: list[str]) -> None:
    faults = [fault for faults in fault_lists for fault in faults]
    if not faults:
        return
    more = f"; and {len(faults) - FAULTS_SHOWN} more faults" if len(faults) > FAULTS_SHOWN else ""
    raise DataError(f"{path}: {'; '.join(faults[:FAULTS_SHOWN])}{more}; mend the file or take the official one")


def _key_faults(content: dict) -> list[str]:
    faults = [f"key {key!r} is missing" for key in KEYS if key not in content]
    for key in content:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            faults.append(f"key {key!r} is not PA-100K's" + (f" (a misspelt {near[0]!r}?)" if near else ""))
    return faults


def _entry_faults(content: dict) -> list[str]:
    """Names that are no text, or empty."""
    return [
        f"entry {position} of {key} is empty"
        for key in KEYS
        if key in content and not key.endswith("_label")
        for position, text in enumerate(_texts(content[key]), start=1)
        if not text.strip()
    ]


def _texts(cells: np.ndarray) -> list[str]:
    """Texts of a MATLAB cell array of strings; a cell that holds no text gives an empty one."""
    return [str(cell.item()) if cell.size == 1 else "" for cell in map(np.asarray, cells.ravel())]


def _shape_faults(attributes: list[str], names: dict, labels: dict) -> list[str]:
    faults = []
    if len(set(attributes)) != NUM_ATTRIBUTES:
        faults.append(
            f"attributes names {len(set(attributes))} different attributes where PA-100K has {NUM_ATTRIBUTES}"
        )
    for split in SPLITS:
        label = labels[split]
        expected = (len(names[split]), len(attributes))
        if label.shape != expected:
            faults.append(f"{split}_label has shape {label.shape} where {split}_images_name asks for {expected}")
        elif not np.isin(label, (0, 1)).all():
            row, column = np.argwhere(~np.isin(label, (0, 1)))[0]
            faults.append(
                f"{split}_label holds {label[row, column]} for {names[split][row]}, {attributes[column]}, not 0 or 1"
            )
        if not names[split]:
            faults.append(f"{split}_images_name is empty")
    return faults


def _duplicate_faults(names: dict, labels: dict) -> list[str]:
    faults = []
    seen: dict[str, tuple[str, int]] = {}
    for split in SPLITS:
        for row, name in enumerate(names[split]):
            if name in seen:
                other, other_row = seen[name]
                agree = np.array_equal(labels[split][row], labels[other][other_row])
                faults.append(
                    f"{name} is entry {other_row + 1} of {other}_images_name and entry {row + 1} of {split}_images_name, "
                    f"with {'the same' if agree else 'different'} labels"
                )
            seen[name] = (split, row)
    return faults


def _missing_faults(names: dict, folder: Path) -> list[str]:
    there = {path.name for path in folder.iterdir()}
    return [
        f"entry {row} of {split}_images_name names {name}, which is not in {folder.name}/"
        for split in SPLITS
        for row, name in enumerate(names[split], start=1)
        if name not in there
    ]


@DATASETS.register_module()
class PA100K(LabelledCrops):
    """PA-100K's layout as a data set for attribute recognition.

    A sample has ``inputs`` (3, H, W) uint8 and ``attributes`` (26,) float32, 0 or 1.

    Args:
        root: Folder that holds annotation.mat and data/.
        split: ``train``, ``val``, ``test`` or ``trainval``.
        size: Height and width in pixels.
        keep_decoded: See `LabelledCrops`.
    """

    name = "pa100k"

    def __init__(self, root: str | Path, split: str, size: tuple[int, int], keep_decoded: bool = False):
        self.annotation = read_pa100k(root)
        parts = ("train", "val") if split == "trainval" else (split,)
        names = [name for part in parts for name in self.annotation.names[part]]
        super().__init__(Path(root) / "data", names, size, keep_decoded)
        self.split = split
        self.metainfo = {"attributes": self.annotation.attributes}
        self.labels = np.concatenate([self.annotation.labels[part] for part in parts])
        self._targets = torch.from_numpy(self.labels).float()

    def target(self, index: int) -> dict:
        return {"attributes": self._targets[index]}

    def digest(self) -> str:
        """Digest of the whole data set, the same for every split."""
        rows = (
            (name, f"{split} {''.join(map(str, label))}")
            for split in SPLITS
            for name, label in zip(self.annotation.names[split], self.annotation.labels[split], strict=True)
        )
        return content_digest(self.root, [*rows])
