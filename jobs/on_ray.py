"""Submit a job by the Ray Jobs API, or follow a running one, until its exit code is known."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from batchfim.errors import ConfigError, JobFailed, first_line
from jobs.submission import JOB_FILE, Submission, next_turn, stop_command, turns

_ADDRESS = "http://127.0.0.1:8265"
_AWAY_S = 120.0  # a head node silent for this long is gone
_AGAIN_S = 1.0
_STOPPED = 143  # the exit code after SIGTERM, which is how Ray stops a job
_TROUBLE = (requests.RequestException, aiohttp.ClientError, ConnectionError, RuntimeError)


def run_on_ray(submission: Submission, address: str | None) -> int:
    """Run a job on a Ray cluster, or follow it if it already runs, and return its exit code.

    Raises:
        ConfigError: no Jobs API answers at the address, or its Ray version differs.
        JobFailed: the cluster stopped answering.
    """
    jobs = RayJobs(address)
    try:
        job_id, verb = jobs.adopt_or_submit(submission)
    except _TROUBLE as error:
        raise JobFailed(f"Ray at {jobs.address}: {first_line(error)}") from None
    _say(f"{verb} {job_id} at {jobs.address}; run the same command to follow it again;")
    stop = stop_command(job_id, jobs.address, os.environ.get("RAY_AUTH_MODE"))
    _say(f"`{stop}` stops it")
    return jobs.follow(job_id)


class RayJobs:
    """The jobs of one Ray cluster."""

    def __init__(self, address: str | None) -> None:
        self.address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or _ADDRESS
        self._printed = 0  # characters of the log of the job that is followed
        os.environ["RAY_API_SERVER_ADDRESS"] = self.address  # or RAY_ADDRESS would override it
        try:
            self._client = JobSubmissionClient(self.address)
            version = self._client._server_ray_version  # no public call returns it
        except AuthenticationError as error:
            raise ConfigError(f"Ray at {self.address}: {first_line(error)}") from None
        except (*_TROUBLE, ValueError) as error:
            raise ConfigError(
                f"no Ray Jobs API at {self.address}: {first_line(error)}; check --address, or run "
                "`ray start --head`, which opens one on port 8265 of its machine"
            ) from None
        if version != ray.__version__:
            raise ConfigError(
                f"Ray at {self.address}: version {version}, but {ray.__version__} here; install "
                "the same version in both places"
            )

    def adopt_or_submit(self, submission: Submission) -> tuple[str, str]:
        """Id of the running job, and the verb that says how it came to run."""
        had = turns(submission.base_id, self._ids())
        if had and not self._client.get_job_status(had[-1]).is_terminal():
            return had[-1], "following"
        job_id = next_turn(submission.base_id, had)
        return job_id, "submitted" if self._submit(submission, job_id) else "following"

    def _ids(self) -> list[str]:
        """Ids of all jobs that the cluster remembers."""
        return [job.submission_id for job in self._client.list_jobs() if job.submission_id]

    def _submit(self, submission: Submission, job_id: str) -> bool:
        """Start a job; False if another submitter was faster."""
        asked_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="batchfim-submit-") as folder:
            _pack(submission, Path(folder))
            while True:
                try:
                    self._client.submit_job(
                        entrypoint=submission.entrypoint,
                        submission_id=job_id,
                        runtime_env={"working_dir": folder, "env_vars": submission.environment},
                        metadata={"output": submission.config.output.path},
                    )
                    return True
                except RuntimeError as error:
                    if job_id in self._ids():
                        return False
                    late = time.monotonic() - asked_s > _AWAY_S
                    if late or "try again" not in str(error):  # Ray's message while a head starts
                        raise
                time.sleep(_AGAIN_S)

    def follow(self, job_id: str) -> int:
        """Copy the job's log to standard output until it ends, and return its exit code."""
        self._printed, heard_s = 0, time.monotonic()
        while True:
            try:
                asyncio.run(self._tail(job_id))
                job = self._client.get_job_info(job_id)
                if job.status.is_terminal():
                    return _exit_code(job)
                heard_s = time.monotonic()
            except _TROUBLE as error:
                if time.monotonic() - heard_s > _AWAY_S:
                    raise JobFailed(
                        f"Ray at {self.address} has not answered for {_AWAY_S:.0f} s "
                        f"({first_line(error)}); the job may still run: run the same command again "
                        "to follow it"
                    ) from None
            time.sleep(_AGAIN_S)

    async def _tail(self, job_id: str) -> None:
        """Print what was not printed yet of the log.

        A stream starts with the log's first character, and may break at any time.
        """
        length = 0
        async for text in self._client.tail_job_logs(job_id):
            sys.stdout.write(text[max(self._printed - length, 0) :])
            sys.stdout.flush()
            length += len(text)
            self._printed = max(self._printed, length)


def _pack(submission: Submission, folder: Path) -> None:
    """Put the job file and these modules into a folder for the cluster, which has batchfim."""
    (folder / JOB_FILE).write_text(submission.job_file, encoding="utf8")
    (folder / "jobs").mkdir()
    for module in Path(__file__).parent.glob("*.py"):
        shutil.copy(module, folder / "jobs" / module.name)


def _exit_code(job: Any) -> int:
    """Exit code of a job that has ended."""
    if job.status == JobStatus.SUCCEEDED:
        return 0
    if job.status == JobStatus.STOPPED:
        return _STOPPED
    code = job.driver_exit_code
    if code is None:
        _say(f"the job failed: {job.message}")
    return code if code is not None and 0 < code < 256 else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
