from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(
    no_args_is_help=True,
    help="Say what data sets are on disk, and check them file by file.\n\nExample: clasp-bench data verify data/market1501",
)


@data.command("list")
def list_(
    roots: Annotated[list[Path], typer.Argument(help="Folders of data sets, or folders that hold such folders.")],
) -> None:
    """Say what folders of data are: name, version, counts and digest. No picture is decoded.

    Example: clasp-bench data list data

    Knows SynthPed universes and the official layouts of Market-1501, MSMT17, CUHK03-NP, PA-100K, PETA, RAPv2, LIP,
    CIHP, COCO, MPII, CrowdHuman, CityPersons, Penn-Fudan and CUHK-PEDES. The digest is the one in run records: where
    it differs, so do the data.
    """
    from clasp_bench.data.layouts import Fault, find_layouts
    from clasp_bench.data.verification import survey
    from clasp_bench.errors import DataError

    for root in roots:
        found = [*find_layouts(root)]
        if not found:
            raise DataError(f"{root}: no data set known here is in it, nor in the folders below; check the path")
        for layout in found:
            if isinstance(layout, Fault):
                typer.echo(f"{layout}\n")
                continue
            typer.echo("\n".join(_lines(survey(layout))) + "\n")


@data.command()
def verify(
    root: Annotated[Path, typer.Argument(help="The folder of a data set, or one that holds such folders.")],
    part: Annotated[
        bool,
        typer.Option("--part", help="It is a part of the data set on purpose: do not ask for the published counts."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also write every fault into a text file, one a line.")] = None,
    show: Annotated[int, typer.Option(min=0, help="Faults to print.")] = 20,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads that decode; one a core by default.")] = None,
) -> None:
    """Check every file and label of a data set, and name what is wrong.

    Example: clasp-bench data verify data/market1501 --out faults.txt

    Every picture is decoded; sizes, boxes, joints, masks, identities and cameras are held against their ranges, the
    parts must not share people or pictures where their authors keep them apart, and the counts must be the published
    ones. Exit code 2 if anything is wrong.
    """
    import os

    from clasp_bench.data.layouts import Fault, find_layouts
    from clasp_bench.data.verification import check_files, survey
    from clasp_bench.errors import DataError
    from clasp_bench.files import write_text

    found = [*find_layouts(root)]
    if not found:
        raise DataError(f"{root}: no data set known here is in it, nor in the folders below; check the path")
    faults: list[Fault] = []
    for layout in found:
        if isinstance(layout, Fault):
            faults.append(layout)
            continue
        surveyed = survey(layout)
        typer.echo("\n".join(_lines(surveyed)))
        faults += surveyed.faults + ([] if part else surveyed.differing)
        faults += check_files(layout, surveyed.statistics.pictures, threads or os.cpu_count() or 1)
        typer.echo()
    for fault in faults[:show]:
        typer.echo(str(fault))
    if len(faults) > show:
        typer.echo(f"and {len(faults) - show:,} more")
    if out is not None:
        write_text(out, "".join(f"{fault}\n" for fault in faults))
    if faults:
        listed = f"; all are in {out}" if out is not None else ""
        raise DataError(f"{root}: {len(faults):,} things are wrong{listed}; mend or fetch again what is named above")
    typer.echo(f"{root}: nothing is wrong")


def _lines(surveyed) -> list[str]:
    """What is known of a data set, for people."""
    layout, counts = surveyed.layout, surveyed.statistics
    lines = [f"{layout.root}: {layout.kind}", f"  {'name':<12}{layout.key}"]
    lines.append(
        f"  {'pictures':<12}{counts.pictures:,}: {', '.join(f'{part} {n:,}' for part, n in counts.parts.items())}"
    )
    for name, number in {
        "people": counts.people,
        "left aside": counts.ignored,
        "boxes": int(counts.heights.sum()),
        "identities": len(counts.identities),
        "cameras": len(counts.cameras),
        "part masks": counts.parsed,
    }.items():
        if number:
            lines.append(f"  {name:<12}{number:,}")
    lines += [f"  {'published':<12}{fault.what.split(';')[0]}" for fault in surveyed.differing]
    lines.append(f"  {'digest':<12}{surveyed.digest or f'none: {surveyed.reason}'}")
    return lines
