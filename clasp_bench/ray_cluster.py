"""Joining a Ray cluster."""

from clasp_bench.errors import BenchError


def connect(address: str):
    """The ray module, connected.

    Args:
        address: of a running cluster (``HOST:PORT`` or ``auto``), or ``local`` for one on this machine that ends with this process.
    Raises:
        BenchError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BenchError("--ray: Ray is not installed; pip install 'clasp-bench[ray]' or 'ray[data]'") from error
    try:
        ray.init(
            address=None if address == "local" else address,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=False,
            include_dashboard=None if address != "local" else False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise BenchError(
            f"--ray {address}: no cluster answers there ({first}); start one with `ray start --head`"
        ) from error
    return ray
