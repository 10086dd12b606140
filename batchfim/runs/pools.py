"""Where a run's workers live: the pool that the job's config names."""

from __future__ import annotations

from batchfim.cluster.capacity import num_gpus
from batchfim.config import JobConfig
from batchfim.errors import ConfigError
from batchfim.metrics.run_state import Watcher
from batchfim.workers.pool import Pool, WorkerSpec


def check_pool(config: JobConfig) -> None:
    """Reject local pools in which several workers would each need a GPU.

    Raises:
        ConfigError: the job's pool is such a pool.
    """
    schedule = config.schedule
    if schedule.pool == "local" and schedule.workers.max > 1 and num_gpus(config) >= 1:
        raise ConfigError(
            "schedule.pool local has one GPU for all workers; use schedule.pool ray, which gives "
            "each worker its own, or schedule.workers 1"
        )


def open_pool(config: JobConfig, spec: WorkerSpec) -> Pool:
    """Open the pool; its workers start when they are added."""
    if config.schedule.pool == "local":
        from batchfim.workers.local import LocalPool

        return LocalPool(spec)
    from batchfim.cluster.token import keep_ray_private

    keep_ray_private(config.resources)
    from batchfim.workers.ray import RayPool

    return RayPool(spec, num_gpus(config))


def exporters(config: JobConfig, run: str, planned_rows: int) -> list[Watcher]:
    """Metrics exporters available to the job's pool; a local pool has none."""
    if config.schedule.pool == "local":
        return []
    from batchfim.telemetry.exporting import MetricsExporter

    return [MetricsExporter(config.output.path, run, planned_rows)]
