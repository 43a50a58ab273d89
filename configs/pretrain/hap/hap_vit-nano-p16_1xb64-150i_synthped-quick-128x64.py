"""HAP, nano, on SynthPed quick, with the joints of a pose model: -o train_dataloader.dataset.keypoints=FOLDER/predictions.json."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import HAP

from clasp_bench.data.posed import PosedPhotos

model.update(type=HAP, decoder=dict(decoder_embed_dim=64, decoder_depth=2, decoder_num_heads=4))
model["data_preprocessor"].update(global_crops=dict(count=1, size=(128, 64), scale=(0.8, 1.0)), color_jitter=None)
train_dataloader["dataset"].update(type=PosedPhotos, keypoints=None)
optim_wrapper["optimizer"].update(lr=1e-3, betas=(0.9, 0.95))
