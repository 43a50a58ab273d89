"""Plans of many runs, their executors, and the record each run leaves."""

from clasp_bench.suite.record import RunRecord, provenance, read_records, write_record

__all__ = ["RunRecord", "provenance", "read_records", "write_record"]
