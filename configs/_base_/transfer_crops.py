"""What the tasks on one feature vector a person share: 128x64 crops, batched and augmented on the device."""

from mmengine.config import read_base

with read_base():
    from .transfer import *

from torch.utils.data import default_collate

from clasp_bench.data.augment import CropPreprocessor
from clasp_bench.models.transfer import TransferModel

model.update(type=TransferModel, pooling="cls+mean", data_preprocessor=dict(type=CropPreprocessor, flip=0.5, shift=5))
model["backbone"].update(out_type="raw")
train_dataloader.update(collate_fn=dict(type=default_collate))
test_dataloader.update(batch_size=256, collate_fn=dict(type=default_collate))
