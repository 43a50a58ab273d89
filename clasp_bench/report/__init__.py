"""Tables, statistics, plots and the page made from run records and cited figures. Nothing here imports torch."""

from clasp_bench.report.content import Report, assemble
from clasp_bench.report.published import read_published
from clasp_bench.report.tables import world_tables

__all__ = ["Report", "assemble", "read_published", "world_tables"]
