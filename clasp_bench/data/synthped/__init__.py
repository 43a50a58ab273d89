"""SynthPed: a world of people with complete ground truth, rendered into the layouts of the benchmarks people use."""

from clasp_bench.data.synthped.universe import SCALES, generate

__all__ = ["SCALES", "generate"]
