"""SynthCLIP: the teacher that ships with the package, a small CLIP trained on a SynthPed universe of its own.

``open_clip_config.json`` and ``open_clip_model.safetensors`` are open_clip's folder format. `phrases` and `train` are the recipe; run it with
``tools/train_synthclip.sh``.

The weights here saw 1,200 batches of 64: the first 600 under a schedule of 3,000 steps, the rest resumed under one of 1,200. They know parts,
garments and colours; they do not yet know hats, glasses, bags, age or view much better than chance.
"""
