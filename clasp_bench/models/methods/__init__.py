from clasp_bench.models.methods.base import SelfSupervised
from clasp_bench.models.methods.clasp import CLASP
from clasp_bench.models.methods.mae import MAE

__all__ = ["CLASP", "MAE", "SelfSupervised"]
