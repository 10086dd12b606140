"""CRDs as they are read here: closed, with defaults filled in, and with their rules across fields.

The real ones are asked where `KUBERAY_CRD_DIR` names a folder of them, such as KubeRay's
`ray-operator/config/crd/bases`, or where they lie beside the checkout.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8s.checks.custom import OURS, RAYJOB, check_custom, crds, refusals
from k8s.checks.objects import Object, of_kind
from k8s.checks.rendering import overlays, render, renderer
from tests.shared import shared_data

SCHEMA = {
    "type": "object",
    "required": ["kind", "size", "colour"],
    "properties": {
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "size": {"type": "integer", "default": 1},
        "colour": {"type": "string"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "x-kubernetes-validations": [
                    {"rule": "has(self.a) != has(self.b)", "message": "a or b"},
                    {"rule": "self == oldSelf", "message": "is immutable"},
                ],
            },
        },
    },
}
THING: Object = {"kind": "Thing", "metadata": {"name": "x"}, "colour": "red"}

real = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize here")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, []),
        ({"free": {"any": "thing"}, "rules": [{"a": "1"}, {"b": "2"}]}, []),
        ({"color": "red"}, ["'color' was unexpected"]),
        ({"size": "1"}, ["size: '1' is not of type 'integer'"]),
        ({"rules": [{"a": "1"}, {"a": "1", "b": "2"}]}, ["rules.1: a or b"]),
    ],
)
def test_a_crd_refuses_what_the_api_server_would(more: Object, says: list[str]) -> None:
    found = list(refusals(THING | more, SCHEMA))
    assert len(found) == len(says)
    assert all(said in text for said, text in zip(says, found, strict=True))


def test_a_folder_without_them_is_no_silent_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERAY_CRD_DIR", str(tmp_path))
    assert list(check_custom([])) == [f"{tmp_path}: has no CRD of RayJob (ray.io/v1)"]


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    named = os.environ.get("KUBERAY_CRD_DIR")
    return crds(Path(named) if named else shared_data("kuberay-crds"))[RAYJOB]


@pytest.fixture(scope="module")
def rayjob() -> Object:
    return of_kind(render(overlays()[-1]), "RayJob")[0]


@real
def test_ours_knows_no_key_that_kuberays_does_not(theirs: dict[str, Any]) -> None:
    assert set(_keys(crds(OURS)[RAYJOB])) - set(_keys(theirs)) == set()


@real
@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, None),
        ({"ttlSecondAfterFinished": 1}, "'ttlSecondAfterFinished' was unexpected"),
        ({"deletionStrategy": {}}, "cannot be empty"),
        (
            {
                "deletionStrategy": {
                    "deletionRules": [
                        {
                            "policy": "DeleteCluster",
                            "condition": {"jobStatus": "FAILED", "jobDeploymentStatus": "Failed"},
                        }
                    ]
                }
            },
            "cannot be used together",
        ),
        ({"managedBy": "me"}, "must be either"),
    ],
)
def test_kuberays_own_crd_accepts_the_template_and_refuses_faults(
    theirs: dict[str, Any], rayjob: Object, spec: Object, says: str | None
) -> None:
    changed = copy.deepcopy(rayjob)
    changed["spec"] |= spec
    found = "; ".join(refusals(changed, theirs))
    assert says in found if says else not found


def _keys(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _keys(inner, f"{path}.{name}")
    if "items" in schema:
        yield from _keys(schema["items"], f"{path}[]")
