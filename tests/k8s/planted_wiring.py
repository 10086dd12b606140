"""Faults of how things are wired: each part is right by itself, and they do not fit together."""

from __future__ import annotations

from tests.k8s.planting import GONE, GROUP, HEAD, HEAD_POD, JOB, JOB_POD, WORKER_POD, Fault

INFILL = "python -m jobs.infill --job-file /etc/batchfim/job.yaml"
KIND = "input: {paths: [/data/records/]}\nmodel: {path: demo}\n"
ONE = "schedule: {workers: 1}\nresources: {num_cpus: 2}\n"
GPU = {"cpu": "2", "memory": "3Gi", "ephemeral-storage": "2Gi", "nvidia.com/gpu": "1"}
HEAD_GPU = {"requests": GPU, "limits": GPU}


def job(text: str, check: str, says: str) -> Fault:
    """Another job file in the smoke test."""
    return Fault("ConfigMap", "data.job~yaml", text, check, says)


def flag(place: int, value: object, says: str) -> Fault:
    """Another word in the submitter's command."""
    return Fault("CronJob", f"{JOB_POD}containers.0.command.{place}", value, "submitters", says)


def scraped(target: str, path: str, value: object, says: str) -> Fault:
    return Fault(target, path, value, "scraping", says, "h100-tp2")


START_PARAMS = [
    Fault("RayJob", f"{HEAD}rayStartParams.num-gpus", "1", "custom", "num-gpus must not be given"),
    Fault("RayJob", f"{GROUP}rayStartParams.num-cpus", "1", "custom", "two words for one thing"),
    Fault("RayJob", f"{GROUP}rayStartParams.plasma-directory", "/tmp", "custom", "no /dev/shm"),
    Fault("RayJob", "spec.preRunningDeadlineSeconds", 10, "custom", "less than the minimum of 300"),
    Fault(
        "RayJob", "spec.activeDeadlineSeconds", 3600, "times", "3600 s in total, but 3600 s only"
    ),
]
ACCESS = [
    Fault("CronJob", f"{JOB_POD}serviceAccountName", "batchfim-ray", "accounts", "no RoleBinding"),
    Fault("CronJob", f"{JOB_POD}automountServiceAccountToken", False, "accounts", "calls the API"),
    Fault("ServiceAccount/batchfim-submitter", "automountServiceAccountToken", False, "accounts",
          "calls the API server"),
    Fault("RayJob", f"{WORKER_POD}serviceAccountName", "batchfim-submitter", "accounts",
          "a model needs none"),
    Fault("RoleBinding", "subjects.0.namespace", "default", "references", "more than one name"),
    Fault("RayJob", "metadata.namespace", "other", "references", "batchfim, other"),
    Fault("NetworkPolicy/batchfim-ray", "spec.ingress.0", GONE, "network", "keeps out the cluster"),
    Fault("NetworkPolicy/batchfim-ray", "spec.ingress.1", GONE, "network", "from port 8265"),
    scraped("PodMonitor", "spec.podMetricsEndpoints.0.port", "metric", "port metric is not one of"),
    scraped("PodMonitor", "spec.selector.matchLabels", {"app": "ray"}, "selects no pod"),
    scraped("NetworkPolicy/batchfim-metrics", "spec.ingress.0.ports.0.port", 9090, "metrics, 8080"),
]  # fmt: skip
CONTAINERS = [
    Fault("RayJob", f"{WORKER_POD}hostNetwork", True, "security", "hostNetwork is true"),
    Fault("RayJob", f"{WORKER_POD}volumes.1", {"name": "cache", "hostPath": {"path": "/nvme"}},
          "security", "hostPath is not allowed"),
    Fault("RayJob", f"{WORKER_POD}containers.0.securityContext.runAsUser", 0, "security", "root"),
    Fault("RayJob", f"{HEAD_POD}containers.0.securityContext.capabilities.add", ["SYS_PTRACE"],
          "security", "adds capabilities"),
    Fault("RayJob", f"{WORKER_POD}containers.0.env.4", {"name": "HF_TOKEN", "value": "hf_x"},
          "security", "HF_TOKEN can be read by everybody"),
    Fault("RayJob", f"{HEAD_POD}containers.0.resources", HEAD_GPU, "resources", "requests a GPU"),
    Fault("RayJob", f"{HEAD_POD}containers.0.image", "batchfim:latest", "images", "no fixed tag"),
    Fault("RayJob", f"{WORKER_POD}containers.0.securityContext.readOnlyRootFilesystem", True,
          "volumes", "no volume at /tmp"),
    Fault("RayJob", f"{WORKER_POD}containers.0.volumeMounts.1.mountPath", "/dev/shm", "volumes",
          "/dev/shm is not an emptyDir in Memory"),
]  # fmt: skip
NIGHT = [
    flag(6, "--namespace=default", "--namespace is default"),
    flag(7, "--name=nightly", "--name is nightly, not a variable with the pod's metadata.labels"),
    flag(8, GONE, "--owner-name is None"),
    Fault("CronJob", f"{JOB_POD}containers.0.env.1.name", "NAME", "submitters", "$(JOB_NAME)"),
    Fault("CronJob", f"{JOB}podFailurePolicy.rules.2.onExitCodes.containerName", "submitter",
          "submitters", "names container submitter, which does not exist"),
    Fault("RayJob", "spec.entrypoint", f"{INFILL} --accept-unfinished", "retries",
          "a job with failed rows would be started again, in vain"),
    Fault("RayJob", "spec.entrypoint", f"{INFILL} --accept-failed-rows", "retries",
          "one that schedule.stop_after_s ended would be started again, in vain"),
]  # fmt: skip
PLACES = [
    job(KIND + ONE + "output: {path: out/}", "places", "output.path out/ is not on one claim"),
    job(KIND + ONE + "output: {path: /out/}", "places", "output.path /out/ is not on one claim"),
    Fault("RayJob", f"{WORKER_POD}containers.0.volumeMounts.4.mountPath", "/dat", "places",
          "input.paths /data/records/ is not on one claim"),
    Fault("PersistentVolumeClaim/batchfim-models", "spec.accessModes", ["ReadWriteOnce"], "claims",
          "workers are on many machines", "gke-l4"),
    Fault("RayJob", f"{WORKER_POD}containers.0.env.1.value", "/models", "models",
          "HF_HOME is /models, but prefetch fills /models/hf"),
    Fault("CronJob", f"{JOB_POD}initContainers.0.volumeMounts.0.mountPath", "/model", "models",
          "not on a claim that prefetch fills"),
    Fault("CronJob", f"{JOB_POD}initContainers.0.env.0.name", "HF_HUB_OFFLINE", "models",
          "keeps it from fetching"),
    job(f"{KIND}output: {{path: /data/out/}}\nschedule: {{workers: 1}}\n"
        'resources: {num_cpus: 2, ray_address: "10.0.0.1:6379"}', "job-files", "points away from"),
    job(f"{KIND}output: {{path: /data/out/}}\nschedule: {{workers: 1, pool: local}}\n"
        "resources: {num_cpus: 2}", "job-files", "runs on the head while workers idle"),
    job(f"{KIND}{ONE}output: {{path: /data/out/}}\nengine: {{args: {{hf_token: hf_x}}}}",
        "job-files", "contains a secret"),
]  # fmt: skip
WIRING = [*START_PARAMS, *ACCESS, *CONTAINERS, *NIGHT, *PLACES]
