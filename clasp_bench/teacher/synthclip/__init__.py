"""SynthCLIP: the teacher that ships with the package, a small CLIP trained on SynthPed universes of its own.

``open_clip_config.json`` and ``open_clip_model.safetensors`` are open_clip's folder format. `phrases` and `train` are the recipe; run it with
``tools/train_synthclip.sh``.

The weights here are what that command gave, 5,000 steps of 64 images. docs/teacher.md has the figures, attribute by attribute.
"""
