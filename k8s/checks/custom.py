"""Check objects of custom kinds against CRDs: structure, and rules across fields (CEL)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import yaml
from celpy.adapter import json_to_cel

from k8s.checks.objects import Object, Objects, named

OURS = Path(__file__).parent / "schemas"
RAYJOB = ("ray.io/v1", "RayJob")
_OPEN = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"
Schema = dict[str, Any]


def folders() -> list[Path]:
    """Folders of CRDs: our own, and the real ones if `KUBERAY_CRD_DIR` is their folder.

    Ours are subsets that also describe what KubeRay's operator refuses and what fails silently.
    """
    real = os.environ.get("KUBERAY_CRD_DIR")
    return [OURS, Path(real)] if real else [OURS]


def custom_kinds() -> frozenset[str]:
    """The kinds that our CRDs describe."""
    return frozenset(kind for _, kind in crds(OURS))


@cache
def crds(folder: Path) -> dict[tuple[str, str], Schema]:
    """The schemas of a folder's CRDs, by `apiVersion` and kind."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        documents = yaml.load_all(path.read_text(encoding="utf8"), Loader=yaml.CSafeLoader)
        for spec in (crd["spec"] for crd in documents if crd):
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = version["schema"]["openAPIV3Schema"]
    return found


def check_custom(objects: Objects) -> Iterator[str]:
    """Find what the CRDs refuse."""
    ours = custom_kinds()
    for folder in folders():
        if RAYJOB not in crds(folder):
            yield f"{folder}: has no CRD of RayJob (ray.io/v1)"
    for thing in objects:
        key = (str(thing.get("apiVersion")), str(thing.get("kind")))
        if key[1] in ours and key not in crds(OURS):
            yield f"{named(thing)}: apiVersion {key[0]} is unknown"
        for folder in folders():
            if key in crds(folder):
                yield from refusals(thing, crds(folder)[key])


def refusals(thing: Object, schema: Schema) -> Iterator[str]:
    """Find what one CRD refuses in one object."""
    wrong = list(_validator(schema).iter_errors(thing))
    for error in wrong:
        yield f"{named(thing)}: {'.'.join(map(str, error.path))}: {error.message}"
    if not wrong:
        for path, message in _broken_rules(thing, schema, ""):
            yield f"{named(thing)}: {path}: {message}"


def _validator(schema: Schema) -> jsonschema.Draft202012Validator:
    top = closed(schema)
    top["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(top)


def closed(schema: Schema) -> Schema:
    """A CRD's schema as a JSON Schema in which an unknown key is an error.

    The API server fills in defaults first, so properties with a default are not required.
    """
    properties = schema.get("properties")
    out = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if properties is not None:
        out["properties"] = {name: closed(inner) for name, inner in properties.items()}
        out["required"] = [
            name for name in schema.get("required", []) if "default" not in properties[name]
        ]
        if not schema.get(_OPEN):
            out["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = closed(schema[key])
    return out


def _broken_rules(value: Any, schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get(_RULES, []):
        # Rules with `oldSelf` apply only to updates.
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield path.removeprefix("."), rule.get("message", rule["rule"])
    if isinstance(value, dict):
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if isinstance(known, dict):
                yield from _broken_rules(inner, known, f"{path}.{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _broken_rules(inner, schema.get("items", {}), f"{path}.{place}")


def _holds(rule: str, value: Any) -> bool:
    return bool(_program(rule).evaluate({"self": json_to_cel(value)}))


@cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))
