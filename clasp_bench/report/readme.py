"""Fills the tables and plots of a README from records: what stands between two markers is replaced.

``<!-- results: WORLD -->`` begins the table of a world, ``<!-- end of results -->`` ends it; ``<!-- plots: WORLD -->`` and ``<!-- end of plots -->``
stand around its plots.
"""

import re
from collections.abc import Mapping
from html import escape

from clasp_bench.errors import ConfigError
from clasp_bench.report.content import Report
from clasp_bench.report.text import summary

BLOCK = re.compile(
    r"(?P<begin><!-- (?P<what>results|plots): (?P<world>[^\r\n]+?) -->(?P<newline>\r?\n)).*?(?P<end><!-- end of (?P=what) -->)",
    flags=re.DOTALL,
)


def fill(text: str, report: Report, pictures: Mapping[str, Mapping[str, str]]) -> str:
    """The text with the summary table and the plots of each world it asks for, in lines that end as its own do.

    Args:
        pictures: by world what each plot shows, by its path as the text names it.
    Raises:
        ConfigError: it has no markers, or asks for a world of which there are no records.
    """
    tables = {table.world: table for table in report.tables}
    worlds = [found["world"] for found in BLOCK.finditer(text)]
    if not worlds:
        raise ConfigError(
            "has no table to fill; put `<!-- results: WORLD -->` and `<!-- end of results -->` on lines of their own around one"
        )
    if unknown := [world for world in worlds if world not in tables]:
        raise ConfigError(f"asks for results of {unknown[0]}, but there are records only of {', '.join(tables)}")

    def made(found: re.Match) -> str:
        world = found["world"]
        content = summary(tables[world]) if found["what"] == "results" else _images(pictures[world])
        between = f"\n{content}\n\n".replace("\n", found["newline"])
        return f"{found['begin']}{between}{found['end']}"

    return BLOCK.sub(made, text)


def _images(pictures: Mapping[str, str]) -> str:
    """Two beside each other."""
    return "\n".join(
        f'<img src="{escape(path)}" width="49%" alt="{escape(shows)}">' for path, shows in pictures.items()
    )
