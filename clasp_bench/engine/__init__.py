from clasp_bench import mmpretrain_import  # noqa: F401 (before whatever imports mmpretrain)
from clasp_bench.engine.config import load_config
from clasp_bench.engine.contract import LoadReport, load_weights, read_header, save_weights
from clasp_bench.engine.hooks import CostHook, ProgressHook, StepSeedHook, cost_of
from clasp_bench.engine.precision import Bf16OptimWrapper
from clasp_bench.engine.runner import build_runner

__all__ = [
    "Bf16OptimWrapper",
    "CostHook",
    "LoadReport",
    "ProgressHook",
    "StepSeedHook",
    "build_runner",
    "cost_of",
    "load_config",
    "load_weights",
    "read_header",
    "save_weights",
]
