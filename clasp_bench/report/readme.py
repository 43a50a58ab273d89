"""Fills the tables of a README from records: what stands between two markers is replaced.

``<!-- results: WORLD -->`` begins the table of a world, ``<!-- end of results -->`` ends it.
"""

import re

from clasp_bench.errors import ConfigError
from clasp_bench.report.content import Report
from clasp_bench.report.text import summary

END = "<!-- end of results -->"
BLOCK = re.compile(rf"(<!-- results: (?P<world>[^ >]+) -->\n).*?({END})", flags=re.DOTALL)


def fill(text: str, report: Report) -> str:
    """The text with the summary table of each world it asks for.

    Raises:
        ConfigError: it has no markers, or asks for a world of which there are no records.
    """
    tables = {table.world: table for table in report.tables}
    worlds = [found["world"] for found in BLOCK.finditer(text)]
    if not worlds:
        raise ConfigError(
            f"has no table to fill; put `<!-- results: WORLD -->` and `{END}` on lines of their own around one"
        )
    if unknown := [world for world in worlds if world not in tables]:
        raise ConfigError(f"asks for results of {unknown[0]}, but there are records only of {', '.join(tables)}")
    return BLOCK.sub(lambda found: f"{found[1]}\n{summary(tables[found['world']])}\n\n{found[3]}", text)
