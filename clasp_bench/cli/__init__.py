"""The command line. Each command is one function in the module of its name; heavy imports wait until it runs."""

import sys
from importlib import import_module

import typer

from clasp_bench import __version__
from clasp_bench.errors import BenchError

COMMANDS = ("synth", "label", "pretrain", "transfer", "suite", "report", "doctor")

app = typer.Typer(
    name="clasp-bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Pre-train on unlabelled photos of people, transfer to human-centric tasks, and report one table. "
    "The order of work: synth (or your own photos), label, pretrain, transfer, report.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clasp-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="After an error, show the traceback too."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


for _command in COMMANDS:
    app.command(_command)(getattr(import_module(f"clasp_bench.cli.{_command}"), _command))


def main() -> None:
    """Run the command line: a `BenchError` becomes its sentence and exit code 2, an interruption 130."""
    try:
        app()
    except BenchError as error:
        from rich.console import Console

        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        if {"-v", "--verbose"} & set(sys.argv[1:]):
            raise
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
