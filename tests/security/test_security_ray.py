"""The Ray of a run: strangers get no answer, and nobody is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STRANGER = """
import sys
from ray._raylet import GcsClient
try:
    GcsClient(address=sys.argv[1])
except Exception as error:
    print("refused", type(error).__name__)
else:
    print("let in")
"""
RUN = """
import json, os, subprocess, sys
from batchfim.config import Resources
from batchfim.cluster.token import keep_ray_private
resources = Resources(**json.loads(sys.argv[2]))
keep_ray_private(resources)
import ray
from batchfim.cluster.connection import connect
connect(resources)

@ray.remote(num_cpus=0)
def environment():
    import batchfim
    return dict(os.environ)

hidden = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
address = ray.get_runtime_context().gcs_address
known = subprocess.run([sys.executable, "-c", sys.argv[1], address], capture_output=True, text=True)
stranger = subprocess.run(
    [sys.executable, "-c", sys.argv[1], address], capture_output=True, text=True, env=hidden
)
names = ["RAY_USAGE_STATS_ENABLED", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK",
         "HF_HUB_DISABLE_TELEMETRY"]
seen = ray.get(environment.remote())
print(json.dumps([known.stdout, stranger.stdout, [seen[name] for name in names]]))
"""


@pytest.mark.parametrize("settings", ["{}", '{"ray_address": "local"}'])
def test_a_local_ray_refuses_who_lacks_its_token_and_reports_to_nobody(settings: str) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", RUN, STRANGER, settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
    assert '"let in\\n", "refused AuthenticationError\\n", ["0", "1", "1", "1"]' in done.stdout
