"""CLIP teachers through open_clip: the shipped SynthCLIP, a model and tag whose weights are already here, or a local checkpoint.

Nothing is downloaded unless asked for: where weights are absent, the error says which file to put where.
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.model import QuickGELU
from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model
from torch import Tensor

from clasp_bench.errors import ConfigError, DataError
from clasp_bench.files import cache_folder
from clasp_bench.shipped import TEACHER_WEIGHTS, TEACHERS
from clasp_bench.teacher.synthclip import tower  # noqa: F401, timm knows SynthCLIP's tower from here on

OPEN_CLIP_CACHE = Path.home() / ".cache" / "clip"
TEXT_BATCH = 256
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass
class Teacher:
    """A CLIP ready to encode.

    Attributes:
        name: a key of `clasp_bench.shipped.TEACHERS`, or ``MODEL:TAG`` or ``MODEL:file name``.
        model: open_clip model in evaluation mode.
        mean, std: normalisation of RGB in [0, 1], 3 numbers each.
        fingerprint: SHA-256 of the weights (names, shapes and values); empty while they are still being trained.
    """

    name: str
    model: torch.nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str

    @property
    def patch_size(self) -> tuple[int, int]:
        """Height and width of a patch in pixels."""
        return tuple(getattr(self.model.visual, "trunk", self.model.visual).patch_size)

    @property
    def told(self) -> str:
        """What it computes with that weights do not tell, in words."""
        quick = any(isinstance(module, QuickGELU) for module in self.model.modules())
        mean = ", ".join(f"{value:.3f}" for value in self.mean)
        return f"{'QuickGELU' if quick else 'GELU'}, mean of colours {mean}"

    def normalise(self, images: np.ndarray | Tensor) -> Tensor:
        """(B, H, W, 3) uint8 RGB to (B, 3, H, W) float32 on the model's device."""
        device = next(self.model.parameters()).device
        x = torch.as_tensor(images, device=device).permute(0, 3, 1, 2).float()
        factor, offset = _normalisation(tuple(self.mean), tuple(self.std), device)
        return x.mul_(factor).sub_(offset)

    @torch.no_grad()
    def encode_texts(self, texts: list[str]) -> Tensor:
        """Text features (n, D), normalised, float32."""
        tokens = open_clip.SimpleTokenizer(context_length=self.model.context_length)(texts)
        device = next(self.model.parameters()).device
        chunks = tokens.to(device).split(TEXT_BATCH)
        return torch.cat([self.model.encode_text(chunk, normalize=True).float() for chunk in chunks])


@cache
def _normalisation(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """What pixels are multiplied by and then lowered by, (1, 3, 1, 1) each; made once, as a copy to a GPU waits for all its work."""
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (mean, std))
    return 1 / (255 * std), mean / std


def load_teacher(spec: str, device: str = "cpu", download: bool = False) -> Teacher:
    """Load a teacher.

    Args:
        spec: a key of `clasp_bench.shipped.TEACHERS`, or ``MODEL:TAG`` (for instance ``ViT-B-16:openai``), or ``MODEL:FILE`` with a safetensors or
            torch checkpoint.
        device: torch device.
        download: fetch published weights that are not on this machine.
    Raises:
        ConfigError: unknown model or tag, a model this cannot use, or no such device here.
        DataError: the weights are not on this machine, broken, or of another model.
    """
    _check_device(device)
    model_name, _, weights = spec.partition(":")
    source, preprocess, kwargs = _shipped(spec) if spec in TEACHERS else _find(model_name, weights, download)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = open_clip.create_model(source, device=device, **kwargs)
    except Exception as error:  # whatever torch's and safetensors' readers say of a torn or foreign file
        file = kwargs.get("pretrained", source)
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{file}: cannot be loaded as weights of {model_name} ({first}); check model and file"
        ) from error
    name = f"{model_name}:{Path(weights).name}" if weights else model_name
    return Teacher(name, model.eval(), tuple(preprocess["mean"]), tuple(preprocess["std"]), fingerprint(model))


def default_surgery(spec: str) -> str:
    """How the patches of a teacher are read where nothing is said: SynthCLIP's were trained, those of others want a surgery."""
    return "none" if spec in TEACHERS else "naclip"


def fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and float32 values of a model's tensors, and QuickGELU where it computes that: the same for any file format."""
    sha = hashlib.sha256()
    if any(isinstance(module, QuickGELU) for module in model.modules()):
        sha.update(b"QuickGELU\n")
    for key, tensor in sorted(model.state_dict().items()):
        sha.update(f"{key} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _shipped(name: str) -> tuple[str, dict, dict]:
    """A shipped teacher: source, preprocessing, arguments of `create_model`."""
    config, weights = TEACHERS[name] / "open_clip_config.json", TEACHER_WEIGHTS[name]
    if not (config.exists() and weights.exists()):
        raise DataError(f"{weights}: SynthCLIP's weights are missing; make them with `tools/train_synthclip.sh {name}`")
    return f"local-dir:{TEACHERS[name]}", json.loads(config.read_text())["preprocess_cfg"], {}


def _find(model: str, weights: str, download: bool) -> tuple[str, dict, dict]:
    """The same for ``MODEL:TAG`` and ``MODEL:FILE``."""
    config = open_clip.get_model_config(model) if model in open_clip.list_models() else None
    if config is None or not weights:
        raise ConfigError(
            f"teacher: {model + ':' * bool(weights) + weights!r} is not known; give `synthclip`, `synthclip-vit`, "
            "MODEL:TAG (ViT-B-16:openai) or MODEL:FILE, with a MODEL of `python -c 'import open_clip; print(open_clip.list_models())'`"
        )
    if config["text_cfg"].get("hf_model_name") or config["text_cfg"].get("hf_tokenizer_name"):
        raise ConfigError(
            f"teacher: {model} takes its text side from Hugging Face; choose a model with CLIP's own tokenizer"
        )
    if "/" in weights or weights.endswith((".safetensors", ".pt", ".pth", ".bin")):
        if not Path(weights).is_file():
            raise DataError(f"{weights}: there is no such file of {model} weights; check the path")
        return model, _preprocess({}), {"pretrained": weights}
    known = get_pretrained_cfg(model, weights)
    if not known:
        raise ConfigError(
            f"teacher: {model} has no tag {weights!r}; it has {', '.join(list_pretrained_tags_by_model(model))}"
        )
    return (
        model,
        _preprocess(known),
        {
            "pretrained": str(_local(f"{model}:{weights}", known, download)),
            "force_quick_gelu": known.get("quick_gelu", False),
        },
    )


def _preprocess(known: dict) -> dict:
    """Normalisation of a published checkpoint; OpenAI's where none is said."""
    return {
        "mean": known.get("mean") or open_clip.OPENAI_DATASET_MEAN,
        "std": known.get("std") or open_clip.OPENAI_DATASET_STD,
    }


def _local(spec: str, known: dict, download: bool) -> Path:
    """The file of published weights on this machine: in our folder, in Hugging Face's cache, or in open_clip's; or fetched.

    Raises:
        DataError: it is in none of them, or cannot be fetched; says which file to put where.
    """
    repository, _, file = known.get("hf_hub", "").rpartition("/")
    files = ((file,) if file else HUB_FILES) if repository else (known["url"].rsplit("/", 1)[-1],)
    ours = cache_folder("teachers") / f"{spec.replace(':', '-')}{Path(files[0]).suffix}"
    if ours.is_file():
        return ours
    if repository:
        from huggingface_hub import try_to_load_from_cache

        for name in files:
            cached = try_to_load_from_cache(repository, name)
            if isinstance(cached, str):
                return Path(cached)
        address = f"https://huggingface.co/{repository}/resolve/main/{files[0]}"
    else:
        address = known["url"]
        if (OPEN_CLIP_CACHE / files[0]).is_file():
            return OPEN_CLIP_CACHE / files[0]
    if download:
        return _fetch(spec, known, address, ours)
    raise DataError(
        f"{spec}: its weights are not on this machine and nothing is downloaded unless --download is given; put {address} at {ours}"
    )


def _fetch(spec: str, known: dict, address: str, ours: Path) -> Path:
    try:
        return Path(download_pretrained(known))
    except Exception as error:  # whatever the network or the hub's client says
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{spec}: its weights cannot be downloaded ({first}); put {address} at {ours}") from error


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without it
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"device {device}: cannot be used on this machine ({first}); give cpu, or auto for a GPU where there is one"
        ) from error


def chosen_device(device: str) -> str:
    """``auto`` as ``cuda`` where there is a GPU, else ``cpu``; other devices as they are."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def native_precision(device: str) -> str:
    """``bf16`` where the device computes bfloat16 natively, else ``fp32``."""
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"
