"""Unlabelled photos with the joints that a pose model found in them, for methods that mask by body part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clasp_bench.data.images import names_digest
from clasp_bench.data.photos import Photos
from clasp_bench.errors import ConfigError, DataError, LabelMismatch
from clasp_bench.files import atomic_path
from clasp_bench.registry import DATASETS

JOINTS = 17  # COCO's, in COCO's order


def write_keypoints(path: str | Path, names: Sequence[str], keypoints: np.ndarray, pose_model: str) -> Path:
    """Write what a pose model found.

    Args:
        path: ``.npz`` file.
        names: Image names, in the order of `Photos`.
        keypoints: (n, 17, 3): x and y as shares of the photo's width and height, and the model's confidence in [0, 1].
        pose_model: What found them, for people to read.
    """
    if keypoints.shape != (len(names), JOINTS, 3):
        raise ValueError(f"keypoints of {len(names)} photos are ({len(names)}, {JOINTS}, 3), not {keypoints.shape}")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, keypoints=keypoints.astype(np.float32), images_digest=names_digest(names), pose_model=pose_model)
    return Path(path)


@DATASETS.register_module()
class PosedPhotos(Photos):
    """`Photos` whose batches hold ``keypoints`` (B, 17, 3) too, as `write_keypoints` describes them.

    Args:
        keypoints: File of `write_keypoints` for these very photos. It should come from a pose model that never saw them, not from annotations.
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
                "clasp_bench.data.posed.write_keypoints and give -o train_dataloader.dataset.keypoints=FILE.npz"
            )
        try:
            with np.load(keypoints, allow_pickle=False) as found:
                self.keypoints, digest = found["keypoints"], str(found["images_digest"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{keypoints}: is no file of keypoints ({error}); write it with write_keypoints") from error
        if digest != names_digest(self.source.names) or len(self.keypoints) != len(self):
            raise LabelMismatch(
                f"{keypoints}: was made for {len(self.keypoints):,} photos with digest {digest[:8]}, not for the {len(self):,} at "
                f"{self.source.path}; run the pose model on these"
            )

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        batch = super().__getitems__(indices)
        unread = {name for name, _ in batch.get("unreadable", ())}
        kept = [index for index in indices if not unread or self.source.names[index] not in unread]
        return batch | {"keypoints": torch.from_numpy(self.keypoints[kept])}
