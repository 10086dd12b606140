"""One mistake at a time in manifests that pass: the check it is for refuses it, and only that."""

from __future__ import annotations

import pytest

from k8s.checks.checking import MEANING, STRUCTURE, problems
from k8s.checks.rendering import renderer
from tests.k8s.planted_wiring import INFILL, WIRING
from tests.k8s.planting import (
    GONE,
    GROUP,
    HEAD,
    HEAD_POD,
    JOB,
    JOB_POD,
    RAY,
    WORKER_POD,
    Fault,
    plant,
)

pytestmark = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize here")

ENTRY = f"{INFILL} --accept-failed-rows --accept-unfinished"
FIXED = "input: {paths: [s3://a]}\noutput: {path: s3://b}\nmodel: {path: c}\nschedule: {workers: 8}"
PARTS = "engine: {args: {pipeline_parallel_size: 2}}\nresources: {nodes_per_worker: 2}"
LATE = FIXED.replace("workers: 8", "workers: {min: 1, max: 8}, stop_after_s: 32400")
SPREAD = f"{FIXED}\n{PARTS}"  # each over two of the eight pods
LONG = "batchfim-" + "x" * 40

STRUCTURES = [
    Fault("CronJob", "spec.concurencyPolicy", "Forbid", "builtin", "'concurencyPolicy' was unexp"),
    Fault("CronJob", f"{JOB}backoffLimit", "0", "builtin", "'0' is not of type 'integer'"),
    Fault("CronJob", f"{JOB_POD}containers.0.imag", "x", "builtin", "'imag' was unexpected"),
    Fault("PersistentVolumeClaim", "kind", "VolumeClaim", "builtin", "find schema for kind Volume"),
    Fault("Role", "apiVersion", GONE, "builtin", "Role/batchfim-submitter: apiVersion missing"),
    Fault("RayJob", "apiVersion", "ray.io/v1alpha1", "custom", "ray.io/v1alpha1 is unknown"),
    Fault("RayJob", "spec.ttlSecondAfterFinished", 9, "custom", "'ttlSecondAfterFinished' was un"),
    Fault("RayJob", f"{GROUP}maxReplicas", "4", "custom", "'4' is not of type 'integer'"),
    Fault("RayJob", f"{HEAD}rayStartParams.num-cpus", 0, "custom", "0 is not of type 'string'"),
    Fault("RayJob", f"{HEAD}rayStartParams.num-cpus", "2", "custom", "head is for the driver"),
    Fault("RayJob", f"{GROUP}template", GONE, "custom", "'template' is a required property"),
    Fault("RayJob", f"{GROUP}minReplicas", 2, "custom", "minReplicas <= replicas <= maxReplicas"),
    Fault("RayJob", "spec.submissionMode", "K8JobMode", "custom", "must be HTTPMode"),
    Fault("RayJob", "spec.submissionMode", "SidecarMode", "custom", "end healthy jobs"),
    Fault("RayJob", "spec.shutdownAfterJobFinishes", False, "custom", "must be true, else the GPU"),
    Fault("RayJob", "spec.deletionStrategy", {}, "custom", "exclude each other"),
    Fault("RayJob", "spec.entrypointNumCpus", 1, "custom", "move the driver to a GPU worker"),
    Fault("RayJob", "spec.entrypoint", f"{ENTRY} $HOME", "custom", "free of quotes and dollars"),
    Fault("RayJob", "spec.preRunningDeadlineSeconds", GONE, "custom", "is a required property"),
    Fault("RayJob", "spec.activeDeadlineSeconds", GONE, "custom", "is a required property"),
    Fault("RayJob", "spec.backoffLimit", GONE, "custom", "'backoffLimit' is a required property"),
    Fault("RayJob", "spec.suspend", False, "custom", "applying it must start nothing"),
    Fault("RayJob", f"{RAY}authOptions", GONE, "custom", "'authOptions' is a required property"),
    Fault("RayJob", f"{RAY}authOptions.mode", "disabled", "custom", "not one of ['token']"),
    Fault("RayJob", f"{WORKER_POD}restartPolicy", "Always", "custom", "on every", "gke-l4"),
    Fault("RayJob", f"{HEAD_POD}tolerationSeconds", 1, "ray-pods", "'tolerationSeconds' was unexp"),
    Fault("PodMonitor", "spec.podMetricsEndpoint", [], "custom", "was unexpected", "h100-tp2"),
]
PODS = [
    Fault("RayJob", f"{WORKER_POD}securityContext.runAsUser", GONE, "security", "runAsUser"),
    Fault("RayJob", f"{HEAD_POD}securityContext.seccompProfile", GONE, "security", "seccompPro"),
    Fault("RayJob", f"{HEAD_POD}containers.0.securityContext", GONE, "security", "Escalation"),
    Fault("RayJob", f"{WORKER_POD}automountServiceAccountToken", True, "security", "automount"),
    Fault("RayJob", f"{WORKER_POD}containers.0.securityContext.capabilities.drop", [], "security",
          "does not drop all"),
    Fault("RayJob", f"{GROUP}template.metadata.labels", {}, "network", "no NetworkPolicy closes"),
    Fault("NetworkPolicy/batchfim-ray", "spec.ingress.0", {}, "network", "lets everybody in"),
    Fault("Role", "rules.0.verbs", ["create", "get", "list", "delete"], "rbac", "also grants"),
    Fault("Role", "rules.0.verbs", ["create", "get"], "rbac", "lacks ray.io rayjobs list"),
    Fault("RayJob", f"{WORKER_POD}containers.0.resources.limits.memory", "8Gi", "resources",
          "request 6Gi and limit 8Gi differ"),
    Fault("RayJob", f"{WORKER_POD}containers.0.resources.limits.memory", "6GB", "resources",
          "'6GB' is not a quantity"),
    Fault("RayJob", f"{HEAD_POD}containers.0.resources.requests.cpu", GONE, "resources",
          "does not request cpu"),
    Fault("RayJob", f"{WORKER_POD}containers.0.image", "batchfim:0.0.9", "images", "differ: "),
    Fault("RayJob", f"{HEAD_POD}containers.0.volumeMounts.1.name", "ca", "volumes", "not a volume"),
    Fault("RayJob", f"{HEAD_POD}volumes.1", GONE, "volumes", "mounts cache, which is not a volume"),
    Fault("PersistentVolumeClaim/batchfim-data", "metadata.name", "data", "references",
          "PersistentVolumeClaim/batchfim-data, which does not exist"),
    Fault("RayJob", f"{HEAD_POD}serviceAccountName", "ray", "references", "ServiceAccount/ray"),
    Fault("RayJob", f"{HEAD_POD}containers.0.envFrom.0.secretRef.name", "s3", "references", "s3"),
    Fault("RayJob", f"{HEAD_POD}containers.0.envFrom.0.secretRef.optional", False, "references",
          "is not optional"),
    Fault("RoleBinding", "roleRef.name", "submitter", "references", "Role/submitter, which does"),
    Fault("CronJob", f"{JOB_POD}containers.0.command.5", "--rayjob=night", "references",
          "RayJob/night"),
]  # fmt: skip
NIGHTS = [
    Fault("CronJob", "metadata.name", LONG, "names", "49 characters, at most 38"),
    Fault("CronJob", "metadata.name", "1-night", "names", "not DNS-1035"),
    Fault("CronJob", "spec.schedule", "15 2 * *", "cron", "'15 2 * *' is not five fields"),
    Fault("CronJob", "spec.schedule", "15 25 * * *", "cron", "is not five fields of cron"),
    Fault("CronJob", "spec.timeZone", "Europe/Amsterdm", "cron", "is not a time zone"),
    Fault("CronJob", "spec.concurrencyPolicy", "Never", "cron", "nights would overlap"),
    Fault("CronJob", "spec.concurrencyPolicy", GONE, "cron", "concurrencyPolicy Allow"),
    Fault("CronJob", "spec.startingDeadlineSeconds", GONE, "cron", "startingDeadline"),
    Fault("CronJob", f"{JOB}activeDeadlineSeconds", GONE, "cron", "activeDeadlineSeconds of its"),
    Fault("CronJob", f"{JOB_POD}restartPolicy", "Always", "cron", "restartPolicy Always"),
    Fault("RayJob", "spec.entrypoint", f"{ENTRY} --resume", "entrypoints", "No such option"),
    Fault("RayJob", "spec.entrypoint", ENTRY.replace("infill", "infil"), "entrypoints", "infil"),
    Fault("RayJob", "spec.entrypoint", f"bash -c {ENTRY}", "entrypoints", "not a command of ba"),
    Fault("RayJob", "spec.entrypoint", ENTRY.replace("job.yaml", "jobs.yaml"), "job-files",
          "no ConfigMap of the set is mounted as /etc/batchfim/jobs.yaml"),
    Fault("ConfigMap", "data.job~yaml", "input: {path: [/a]}", "job-files", "input.path: unknown"),
    Fault("RayJob", f"{RAY}rayVersion", "2.59.0", "versions", "not that of requirements/cpu.txt"),
    Fault("RayJob", f"{WORKER_POD}terminationGracePeriodSeconds", 30, "times", "while Ray drains"),
    Fault("RayJob", f"{HEAD_POD}terminationGracePeriodSeconds", 5, "times", "schedule.grace_s"),
    Fault("CronJob", f"{JOB}activeDeadlineSeconds", 3600, "times", "waits 3600 s for a RayJob"),
    Fault("RayJob", f"{GROUP}maxReplicas", 7, "capacity", "room for 7 engines", "gke-l4"),
    Fault("RayJob", f"{GROUP}maxReplicas", 5, "capacity", "workers is 16", "h100-tp2"),
    Fault("RayJob", f"{GROUP}maxReplicas", 33, "capacity", "33 pods without", "h100-tp2"),
    Fault("ConfigMap", "data.job~yaml", FIXED, "capacity", "needs schedule.workers", "gke-l4"),
    Fault("ConfigMap", "data.job~yaml", LATE, "times", "stop_after_s 32400 is too late", "gke-l4"),
    Fault("ConfigMap", "data.job~yaml", SPREAD, "capacity", "room for 4 engines", "gke-l4"),
    Fault("RayJob", "metadata.labels", {"kueue.x-k8s.io/queue-name": "gpu"}, "kueue", "template"),
    Fault("RayJob", "metadata.annotations", {}, "kueue", "needs the annotation", "gke-l4"),
    Fault("PrometheusRule", "spec.groups.0.name", "other", "rules", "`make rules`", "h100-tp2"),
]  # fmt: skip
FAULTS = [*STRUCTURES, *PODS, *NIGHTS, *WIRING]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_refused_by_its_check_alone(fault: Fault) -> None:
    found = problems(plant(fault))
    assert {check for check, _ in found} == {fault.check}
    assert any(fault.says in text for _, text in found), found


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_a_variable_that_only_sounds_like_a_secret_is_allowed(name: str) -> None:
    shown = {"name": name, "value": "x"}
    assert problems(plant(Fault("RayJob", f"{WORKER_POD}containers.0.env.4", shown, "", ""))) == []


@pytest.mark.parametrize("kind", ["csi", "downwardAPI"])
def test_volumes_of_the_restricted_standard_are_allowed(kind: str) -> None:
    volume = {"name": "cache", kind: {"driver": "d"} if kind == "csi" else {}}
    assert problems(plant(Fault("RayJob", f"{WORKER_POD}volumes.1", volume, "", ""))) == []


def test_every_check_has_refused_something() -> None:
    assert {fault.check for fault in FAULTS} == {*STRUCTURE, *MEANING}
