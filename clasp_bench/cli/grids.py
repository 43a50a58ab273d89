"""Grids of patches on the command line."""

from clasp_bench.errors import ConfigError


def rows_and_columns(option: str, text: str) -> tuple[int, int]:
    """``16x8`` as rows and columns, each above 0.

    Raises:
        ConfigError: it is something else.
    """
    rows, _, columns = text.lower().partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise ConfigError(f"{option}: {text!r} is not ROWSxCOLUMNS; write for instance 16x8")
    return int(rows), int(columns)
