"""What a machine has of what the project needs, and the command that mends each gap.

Whatever may be broken is imported inside the examination, so that a broken package is a finding and not the end of it.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from clasp_bench import __version__
from clasp_bench.errors import DataError
from clasp_bench.files import cache_folder
from clasp_bench.shipped import TEACHER_WEIGHTS

SETUP = "bash tools/install.sh"
PACKAGES = (
    "torch", "torchvision", "onedl-mmengine", "onedl-mmcv", "onedl-mmpretrain", "onedl-mmdetection", "onedl-mmsegmentation", "mmpose",
    "timm", "open_clip_torch", "anny", "embreex", "pyarrow", "safetensors", "simplejpeg", "numba", "pandas", "typer", "pydantic",
)  # fmt: skip
UPSTREAM = ("mmcv", "mmcv-full", "mmcv-lite", "mmengine", "mmdet", "mmsegmentation", "mmpretrain")
QUICK_BYTES = 500 * 2**20


@dataclass
class Finding:
    """One thing looked at.

    Attributes:
        what: The thing.
        found: What there is of it.
        ok: Whether that is enough.
        mend: The command, or the step, that mends it.
        needed: Whether the quick benchmark fails without it.
    """

    what: str
    found: str
    ok: bool = True
    mend: str = ""
    needed: bool = True


def examine(roots: list[Path]) -> list[Finding]:
    """Look at the interpreter, packages, device, compiled operations, teacher, disk and the given data roots."""
    return [
        _python(),
        *_packages(),
        _upstream(),
        *_device(),
        _compiled_operations(),
        _opencv(),
        _teacher(),
        _chromium(),
        _disk(),
        *(_data(root) for root in roots),
    ]


def _python() -> Finding:
    inside = (3, 10) <= sys.version_info[:2] <= (3, 12)
    found = f"{platform.python_version()}, clasp-bench {__version__}"
    return Finding("Python", found, inside, "PYTHON=python3.11 " + SETUP)


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "not installed", False, SETUP)


def _upstream() -> Finding:
    """OpenMMLab's own packages install the same modules as the maintained forks; whichever came last wins, by halves."""
    found = sorted({d.metadata["Name"] for d in distributions() if (d.metadata["Name"] or "").lower() in UPSTREAM})
    mend = f"{sys.executable} -m pip uninstall -y {' '.join(found)} && {SETUP}"
    return Finding(
        "upstream OpenMMLab", "conflict: " + ", ".join(found) if found else "none, as it should be", not found, mend
    )


def _device() -> Iterator[Finding]:
    try:
        import torch
    except Exception:  # of what is broken `_compiled_operations` tells
        return
    if torch.cuda.is_available():
        yield Finding("device", ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())))
    else:
        yield Finding("device", "CPU; the quick suite needs no more")
    yield Finding("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors")


def _compiled_operations() -> Finding:
    mend = f"compile them here: rm -rf .venv {cache_folder('wheels')} && CLASP_BENCH_WHEELS= {SETUP}"
    try:
        import torch

        nms = import_module("mmcv.ops").nms
        boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6]])
        scores = torch.tensor([0.9, 0.8, 0.7])
        # compiled without nvcc they run on the CPU alone
        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        if "cuda" in devices and not shutil.which("nvcc"):
            mend = f"install nvcc, the CUDA compiler of torch's version, {torch.version.cuda}, then {mend}"
        works = all(nms(boxes.to(device), scores.to(device), 0.5)[1].tolist() == [0, 2] for device in devices)
        return Finding("mmcv operations", "compiled and right" if works else "give wrong boxes", works, mend)
    except Exception as error:
        return Finding("mmcv operations", f"do not run ({type(error).__name__}: {str(error)[:80]})", False, mend)


def _opencv() -> Finding:
    try:
        return Finding("OpenCV", import_module("cv2").__version__)
    except ImportError as error:
        mend = f"{sys.executable} -m pip uninstall -y opencv-python opencv-contrib-python && {SETUP}"
        return Finding("OpenCV", f"does not import ({error})", False, mend)


def _teacher() -> Finding:
    for name, weights in TEACHER_WEIGHTS.items():
        if not weights.is_file():
            return Finding(
                "teacher", f"the weights of {name} are missing", False, f"bash tools/train_synthclip.sh {name}"
            )
    size = sum(weights.stat().st_size for weights in TEACHER_WEIGHTS.values()) / 2**20
    return Finding("teacher", f"{' and '.join(TEACHER_WEIGHTS)}, {size:.1f} MB")


def _chromium() -> Finding:
    found = shutil.which("chromium")
    mend = "apt-get install chromium chromium-driver"
    return Finding(
        "Chromium", found or "not found; tests of the report page are skipped", bool(found), mend, needed=False
    )


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    return Finding(
        "disk", f"{free / 2**30:.0f} GiB free here", free > QUICK_BYTES, "free 500 MB, or work in another folder"
    )


def _data(root: Path) -> Finding:
    try:
        from clasp_bench.data.images import list_images
        from clasp_bench.data.layouts import Fault, find_layouts

        found = next(find_layouts(root), None)
        if isinstance(found, Fault):
            return Finding(str(root), str(found), False, f"clasp-bench data verify {root}")
        return Finding(str(root), found.kind if found else f"a folder of {len(list_images(root)):,} photos")
    except ImportError as error:
        return Finding(str(root), f"not looked at ({error})", False, SETUP)
    except DataError as error:
        return Finding(str(root), str(error), False, "clasp-bench synth " + str(root))
