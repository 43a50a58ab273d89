"""The teachers that come with the package, in open_clip's folder format; reading this imports nothing."""

from pathlib import Path

_SYNTHCLIP = Path(__file__).parent / "teacher" / "synthclip"
TEACHERS = {"synthclip": _SYNTHCLIP / "convnet", "synthclip-vit": _SYNTHCLIP / "vit"}
TEACHER_WEIGHTS = {name: folder / "open_clip_model.safetensors" for name, folder in TEACHERS.items()}
