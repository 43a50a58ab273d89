"""Tables, plots and the page made from run records. Nothing here imports torch."""

from clasp_bench.report.tables import world_tables

__all__ = ["world_tables"]
