"""Unlabelled photos with the joints that a pose model found in them, for methods that mask by body part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clasp_bench.data.label_sets import KEYPOINTS
from clasp_bench.data.layouts.reading import read_json
from clasp_bench.data.photos import Photos
from clasp_bench.errors import ConfigError, DataError, LabelMismatch
from clasp_bench.files import digest
from clasp_bench.registry import DATASETS


def read_keypoints(path: Path, names: Sequence[str]) -> np.ndarray:
    """What `clasp-bench predict pose` found in photos of one person each.

    Args:
        path: Its ``predictions.json``.
        names: Photos, by the end of their paths.
    Returns:
        (n, 17, 3): x and y as shares of the photo's width and height, and the model's confidence.
    Raises:
        DataError: the file cannot be read or holds no poses.
        LabelMismatch: a photo is not in it, or two are that could be meant.
    """
    content = read_json(path)
    wanted, rows = set(names), {}
    depths = sorted({name.count("/") + 1 for name in wanted}, reverse=True)
    try:
        people = {entry["image_id"]: entry["keypoints"] for entry in content["annotations"]}
        for image in content["images"]:
            joints = np.array(people[image["id"]], np.float32).reshape(len(KEYPOINTS), 3)
            ends = ("/".join(Path(image["path"]).parts[-depth:]) for depth in depths)
            name = next((end for end in ends if end in wanted), None)
            if name in rows:
                raise LabelMismatch(
                    f"{path}: holds two photos that end in {name}; run `clasp-bench predict pose` on these very photos alone"
                )
            if name:
                rows[name] = joints / np.array([image["width"], image["height"], 1], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: holds no poses ({error!r}); write it with `clasp-bench predict pose --weights MODEL PHOTOS --out FOLDER`"
        ) from error
    missing = next((name for name in names if name not in rows), None)
    if missing is not None:
        raise LabelMismatch(f"{path}: knows nothing of {missing}; run `clasp-bench predict pose` on these very photos")
    return np.stack([rows[name] for name in names])


@DATASETS.register_module()
class PosedPhotos(Photos):
    """`Photos` whose batches hold ``keypoints`` (B, 17, 3) too, as `read_keypoints` describes them.

    Args:
        keypoints: ``predictions.json`` of `clasp-bench predict pose` on these very photos. The pose model should never have seen them.
        root, size, labels: See `Photos`.

    Raises:
        ConfigError: `keypoints` is None.
        DataError: the file is missing or broken.
        LabelMismatch: it was made for other photos.
    """

    def __init__(self, keypoints: str | Path | None, **photos):
        super().__init__(**photos)
        if keypoints is None:
            raise ConfigError(
                f"{self.source.path}: this method masks by body part and needs the joints a pose model finds in the photos; write them with "
                "`clasp-bench predict pose` and give -o train_dataloader.dataset.keypoints=FOLDER/predictions.json"
            )
        self.keypoints = read_keypoints(Path(keypoints), self.source.names)

    @property
    def identity(self) -> dict[str, int | str]:
        return super().identity | {"keypoints": digest(self.keypoints.tobytes())}

    def known_of(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return super().known_of(indices) | {"keypoints": torch.from_numpy(self.keypoints[indices])}
