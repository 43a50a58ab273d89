"""Labelling over the machines of a Ray cluster: Ray Data deals shards to actors, each of which holds a teacher and writes what it labels.

Images and store lie on a file system that all machines see under the same paths. Ray starts an actor that died anew and gives its shard to
another, so a lost machine costs time alone; the driver only counts and, at the end, finishes the store.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clasp_bench.data.sources import FolderSource
from clasp_bench.errors import BenchError
from clasp_bench.progress import meter
from clasp_bench.ray_cluster import connect
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.labelling import label_shards
from clasp_bench.teacher.store import LabelStore, StoreWriter
from clasp_bench.teacher.vocabulary import Vocabulary


@dataclass(frozen=True)
class Job:
    """What an actor needs to know to label as the driver would.

    Attributes:
        teacher: as for `load_teacher`.
        device: torch device; with ``cuda`` each actor takes one GPU.
        fingerprint: of the driver's teacher; an actor with other weights stops.
    """

    images: Path
    out: Path
    teacher: str
    device: str
    vocabulary: Vocabulary
    settings: Settings
    fingerprint: str
    workers: int


class ShardLabeller:
    """The actor: loads the teacher once and labels the shards it is given."""

    def __init__(self, job: Job):
        from clasp_bench.teacher.clip import load_teacher

        teacher = load_teacher(job.teacher, job.device)
        if teacher.fingerprint != job.fingerprint:
            raise BenchError(
                f"{job.teacher}: the weights on {os.uname().nodename} are not those of the driver; put the same file there"
            )
        self.job, self.labeller = job, Labeller(teacher, job.vocabulary, job.settings)
        self.writer = StoreWriter(job.out, FolderSource(job.images), self.labeller.meta).begin()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        shards = [int(shard) for shard in batch["shard"] if not self.writer.finished(int(shard))]
        label_shards(self.job.images, self.writer, self.labeller, shards, self.job.workers, _Silent())
        return {"rows": np.array([len(self.writer.rows(int(shard))) for shard in batch["shard"]])}


class _Silent:
    """Progress is shown by the driver."""

    def advance(self, count: int = 1, note: str = "") -> None:
        pass


def label_over_ray(job: Job, meta: dict, address: str) -> LabelStore:
    """Label a folder over a cluster; the store has the bytes one process would have written.

    Args:
        meta: the labeller's.
        address: of a running cluster (``HOST:PORT`` or ``auto``), or ``local`` for one on this machine that ends with the run.
    Raises:
        BenchError: Ray is not installed, the cluster cannot be reached, or an actor failed for good.
    """
    ray = connect(address)
    ray.data.DataContext.get_current().enable_progress_bars = False
    writer = StoreWriter(job.out, FolderSource(job.images), meta).begin()
    pending = writer.pending()
    gpus = 1 if job.device.startswith("cuda") else 0
    actors = max(1, min(len(pending), int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))))
    left = sum(len(writer.rows(shard)) for shard in pending)
    try:
        with meter("label", len(writer.names), done=len(writer.names) - left, unit="images") as progress:
            if pending:
                shards = ray.data.from_items([{"shard": shard} for shard in pending], override_num_blocks=len(pending))
                done = shards.map_batches(
                    ShardLabeller,
                    fn_constructor_args=(job,),
                    batch_size=1,
                    compute=ray.data.ActorPoolStrategy(size=actors),
                    num_gpus=gpus,
                    num_cpus=0 if gpus else 1,
                )
                for batch in done.iter_batches(batch_size=None):
                    progress.advance(int(batch["rows"].sum()))
        return writer.finish()
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise BenchError(f"ray: {last}; run the same command again, finished shards are kept") from error
    finally:
        ray.shutdown()
