from clasp_bench import mmpretrain_import  # noqa: F401 (before whatever imports mmpretrain)
from clasp_bench.engine.config import load_config
from clasp_bench.engine.contract import LoadReport, load_weights, read_header, save_weights
from clasp_bench.engine.hooks import ProgressHook, StepSeedHook, WallClockHook, wall_seconds
from clasp_bench.engine.precision import Bf16OptimWrapper
from clasp_bench.engine.runner import build_runner

__all__ = [
    "Bf16OptimWrapper",
    "LoadReport",
    "ProgressHook",
    "StepSeedHook",
    "WallClockHook",
    "build_runner",
    "load_config",
    "load_weights",
    "read_header",
    "save_weights",
    "wall_seconds",
]
