"""SynthCLIP: the teacher that ships with the package, a small CLIP trained on SynthPed universes of its own.

``open_clip_config.json`` and ``open_clip_model.safetensors`` are open_clip's folder format. `phrases`, `album`, `drawing`, `muon` and `train` are the
recipe; run it with ``tools/train_synthclip.sh``.

The weights here come from a smaller run of it, before it was made for a GPU: 5,000 steps of 64 images from six universes (9001 and 9011 to 9051).
What the command gives now, 8,000 steps of 256 from 16 universes, has not been trained yet. docs/teacher.md has the figures, attribute by attribute.
"""
