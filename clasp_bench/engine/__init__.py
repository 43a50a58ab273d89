from clasp_bench.engine.config import load_config
from clasp_bench.engine.contract import LoadReport, load_weights, read_header, save_weights
from clasp_bench.engine.hooks import ProgressHook, StepSeedHook, WallClockHook, wall_seconds
from clasp_bench.engine.runner import build_runner

__all__ = [
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
