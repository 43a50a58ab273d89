"""SynthCLIP: the teacher that ships with the package, a small CLIP trained on SynthPed universes of its own, with either of two image towers.

``convnet`` is the default teacher, ``vit`` a tower for the surgeries of `clasp_bench.teacher.dense` and a starting point of transfers;
``open_clip_config.json`` and ``open_clip_model.safetensors`` in them are open_clip's folder format. `phrases`, `album`, `drawing`, `muon`,
`tower` and `train` are the recipe; run it with ``tools/train_synthclip.sh``.

The ViT's weights come from a smaller run, before the recipe was made for a GPU: 5,000 steps of 64 images from six universes (9001 and 9011 to
9051). What the command gives now, 8,000 steps of 256 from 16 universes, has not been trained yet. docs/teacher.md has the figures of both.
"""
