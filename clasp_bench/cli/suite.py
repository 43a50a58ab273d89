from pathlib import Path

import typer

EXECUTORS = ("local", "ray", "slurm")


def suite(
    suite: Path = typer.Argument(..., help="The suite file: methods, tasks, seeds and the data they run on."),
    work: Path = typer.Option(
        None, help="Where everything goes; work/<name of the suite> where not given.", show_default=False
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Show the steps with their state and estimated cost and what would run; run nothing."
    ),
    executor: str = typer.Option(
        "local", help="Where steps run: local (this machine), ray (a Ray cluster) or slurm (jobs of a Slurm cluster)."
    ),
    jobs: int = typer.Option(
        None,
        min=1,
        help="Steps at a time. Where not given: local and ray one a GPU, or without GPUs two on this machine and one a machine of the cluster; "
        "slurm 100 jobs.",
        show_default=False,
    ),
    ray: str = typer.Option(
        None, help="With --executor ray: the cluster's address, auto (the default), or local for one on this machine."
    ),
    retry_failed: bool = typer.Option(False, "--retry-failed", help="Run again the steps that failed before."),
) -> None:
    """Run methods x tasks x seeds, from photographs to the table.

    Example: `clasp-bench suite configs/suites/synthped-quick.yaml`

    Steps that do not need each other run side by side. Finished ones are kept: interrupted in any way and started again, the suite goes on where it
    was, and after a change of the suite or of a config it runs again what the change touches. A step that is killed is tried twice more; one
    that fails is left, with its reason in the report, and all that does not need it goes on.
    """
    from clasp_bench.errors import ConfigError
    from clasp_bench.suite.execute import execute
    from clasp_bench.suite.outlook import show
    from clasp_bench.suite.plan import plan
    from clasp_bench.suite.state import WorkFolder
    from clasp_bench.suite.suitefile import read_suite

    if ray and executor != "ray":
        raise ConfigError(f"--ray {ray}: is for --executor ray; add that, or leave --ray out")
    wanted = read_suite(suite)
    work = work or Path("work") / suite.stem
    steps = plan(wanted, suite.parent, work)
    if executor not in EXECUTORS:
        raise ConfigError(f"--executor {executor}: there is no such executor; choose local, ray or slurm")
    if dry_run:
        show(steps, WorkFolder(work), wanted.command, retry_failed)
        return
    execute(steps, work, wanted.command, _executor(executor, jobs, ray, work, wanted.slurm), retry_failed)


def _executor(name: str, jobs: int | None, ray: str | None, work: Path, slurm: dict):
    if name == "local":
        from clasp_bench.suite.executors.local import LocalExecutor

        return LocalExecutor(jobs)
    if name == "ray":
        from clasp_bench.suite.executors.on_ray import RayExecutor

        return RayExecutor(ray or "auto", jobs)
    from clasp_bench.suite.executors.slurm import SlurmExecutor

    return SlurmExecutor(work / "slurm", jobs, slurm)
