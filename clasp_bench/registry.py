"""Registries of this project, children of MMEngine's, in scope ``clasp_bench``.

Modules under `locations` are imported when a name is first looked up, so that a config may name a class by its string.
"""

from typing import Any

from mmengine import registry as root


class Registry(root.Registry):
    """MMEngine's, whose names mean the same wherever it is asked.

    MMEngine looks a name up in the scope of the Runner that was built last in this process; in another library's our names are unknown.
    """

    def build(self, cfg: dict, *args, **kwargs) -> Any:
        """Build what `cfg` describes; a ``type`` that is a string is this project's or MMEngine's."""
        if isinstance(cfg.get("type"), str):
            cfg = {"_scope_": self.scope, **cfg}
        return super().build(cfg, *args, **kwargs)


MODELS = Registry(
    "model", parent=root.MODELS, scope="clasp_bench", locations=["clasp_bench.models", "clasp_bench.tasks"]
)
DATASETS = Registry("dataset", parent=root.DATASETS, scope="clasp_bench", locations=["clasp_bench.data"])
DATA_SAMPLERS = Registry("data sampler", parent=root.DATA_SAMPLERS, scope="clasp_bench", locations=["clasp_bench.data"])
METRICS = Registry("metric", parent=root.METRICS, scope="clasp_bench", locations=["clasp_bench.evaluation"])
HOOKS = Registry("hook", parent=root.HOOKS, scope="clasp_bench", locations=["clasp_bench.engine"])
TASK_UTILS = Registry("task util", parent=root.TASK_UTILS, scope="clasp_bench", locations=["clasp_bench.models"])
