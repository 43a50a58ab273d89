"""Looking at data: what it holds in numbers, and a contact sheet with its annotation drawn on."""

from clasp_bench.data.inspection.sheet import write_sheet
from clasp_bench.data.inspection.statistics import Statistics, examine

__all__ = ["Statistics", "examine", "write_sheet"]
