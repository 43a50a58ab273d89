"""SynthPed: a world of people with complete ground truth, rendered into the layouts of the benchmarks people use."""

from clasp_bench.data.synthped.compiled import keep_by_sources
from clasp_bench.data.synthped.plan import SCALES
from clasp_bench.data.synthped.truth import truth
from clasp_bench.data.synthped.universe import generate

__all__ = ["SCALES", "generate", "truth"]

keep_by_sources()
