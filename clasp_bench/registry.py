"""Registries of this project, children of MMEngine's, in scope ``clasp_bench``.

Modules under `locations` are imported when a name is first looked up, so that a config may name a class by its string.
"""

from mmengine import registry as root

MODELS = root.Registry(
    "model", parent=root.MODELS, scope="clasp_bench", locations=["clasp_bench.models", "clasp_bench.tasks"]
)
DATASETS = root.Registry("dataset", parent=root.DATASETS, scope="clasp_bench", locations=["clasp_bench.data"])
DATA_SAMPLERS = root.Registry(
    "data sampler", parent=root.DATA_SAMPLERS, scope="clasp_bench", locations=["clasp_bench.data"]
)
METRICS = root.Registry("metric", parent=root.METRICS, scope="clasp_bench", locations=["clasp_bench.evaluation"])
HOOKS = root.Registry("hook", parent=root.HOOKS, scope="clasp_bench", locations=["clasp_bench.engine"])
