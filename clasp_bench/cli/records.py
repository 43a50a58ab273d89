"""What `report` and `compare` share: reading records, and saying which files were left out."""

from pathlib import Path

from clasp_bench.suite.record import RunRecord


def read_or_fail(results: Path) -> list[RunRecord]:
    """All records below ``results``; each file left out is named on standard error.

    Raises:
        RecordError: there are none.
    """
    import gc

    from rich.console import Console

    from clasp_bench.errors import RecordError
    from clasp_bench.suite.record import read_records

    records, skipped = read_records(results)
    gc.freeze()  # records stay to the end: looking for garbage among thousands of them takes a tenth of a report's time
    for sentence in skipped:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"skipped {sentence}", style="yellow")
    if not records:
        raise RecordError(f"{results}: holds no run records; make some with `clasp-bench transfer ... --out {results}`")
    return records
