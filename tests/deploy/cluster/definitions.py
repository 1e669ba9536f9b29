"""Definitions of the custom resources that the chart uses, as a cluster of Google's has them.

Where a project publishes its definition in a Go module, that file is taken as it is. Google publishes none for its own
resources; theirs are made from the types of an npm package: fields, which of them are required, and their choices.
What those types do not say (patterns, bounds, rules between fields) no definition here refuses.
"""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

PUBLISHED = {
    "sigs.k8s.io/gateway-api": (
        "config/crd/standard",
        ("gatewayclasses", "gateways", "httproutes", "referencegrants"),
    ),
    "sigs.k8s.io/secrets-store-csi-driver": (
        "config/crd/bases",
        ("secretproviderclasses", "secretproviderclasspodstatuses"),
    ),
}
"""Go modules, the folder in each that holds the definitions, and which of them: GROUP_NAME.yaml each."""

OPEN = {"x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class Typed:
    """A custom resource in namespaces, of which only the types are published.

    Parameters
    ----------
    group, version, kind : its names.
    """

    group: str
    version: str
    kind: str


GOOGLE = (
    Typed("networking.gke.io", "v1", "GCPBackendPolicy"),
    Typed("networking.gke.io", "v1", "HealthCheckPolicy"),
)


def write_definitions(modules, target):
    """Write every definition as a file of its own into a folder that is made anew.

    Parameters
    ----------
    modules : folder with `definitions/go.mod` and `google/package.json`, which say the versions.
    target : folder that is made.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in _published(modules / "definitions"):
        shutil.copyfile(file, target / file.name)
    for definition in _of_google(modules / "google"):
        (target / f"{definition['metadata']['name']}.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))


def _published(module):
    words = ("go", "mod", "download", "-json", *PUBLISHED)
    environment = os.environ | {"GOFLAGS": "-mod=readonly"}
    listed = _run(words, cwd=module, env=environment)
    decoder, folders = json.JSONDecoder(), {}
    while listed := listed.strip():
        each, end = decoder.raw_decode(listed)
        folders[each["Path"]], listed = Path(each["Dir"]), listed[end:]
    for path, (under, names) in PUBLISHED.items():
        for name in names:
            (file,) = (folders[path] / under).glob(f"*_{name}.yaml")
            yield file


def _of_google(package):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(package / name, folder)
        _run(("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"), cwd=folder)
        for typed in GOOGLE:
            source = f"node_modules/@kubernetes-models/gke/{typed.group}/{typed.version}/{typed.kind}.d.ts"
            maker = "node_modules/.bin/ts-json-schema-generator"
            words = (maker, "--path", source, "--type", f"I{typed.kind}", "--no-type-check")
            yield defined(typed, json.loads(_run(words, cwd=folder)))


def defined(typed, schema):
    """The definition of a custom resource from the JSON schema of its type."""
    kinds = schema["definitions"]
    root = structural(kinds[f"I{typed.kind}"] | {"properties": _without_metadata(kinds[f"I{typed.kind}"])}, kinds)
    root["properties"] |= {"metadata": {"type": "object"}}
    singular = typed.kind.lower()
    plural = (
        f"{singular[:-1]}ies"
        if singular.endswith("y")
        else f"{singular}es"
        if singular.endswith("s")
        else f"{singular}s"
    )
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{typed.group}"},
        "spec": {
            "group": typed.group,
            "names": {"kind": typed.kind, "listKind": f"{typed.kind}List", "plural": plural, "singular": singular},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": typed.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root},
                    "subresources": {"status": {}} if "status" in root["properties"] else {},
                }
            ],
        },
    }


def structural(schema, kinds):
    """A JSON schema in the form that the API server takes: structural, without references and closed objects."""
    if "$ref" in schema:
        return structural(kinds[schema["$ref"].rpartition("/")[2]], kinds)
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        return structural(choices[0], kinds)
    types = schema.get("type")
    types = {each.get("type") for each in choices} if choices else set(types if isinstance(types, list) else [types])
    types -= {"null"}
    if types == {"number", "string"}:
        return {"x-kubernetes-int-or-string": True}
    if len(types) != 1 or None in types or choices:
        return dict(OPEN)
    (kind,) = types
    made = {"type": kind}
    if "const" in schema or "enum" in schema:
        made["enum"] = [schema["const"]] if "const" in schema else schema["enum"]
    if kind == "array":
        made["items"] = structural(schema["items"], kinds)
    if kind == "object":
        made |= _object(schema, kinds)
    return made


def _object(schema, kinds):
    made, others = {}, schema.get("additionalProperties")
    if fields := schema.get("properties"):
        made["properties"] = {name: structural(each, kinds) for name, each in fields.items()}
    elif others:
        made["additionalProperties"] = structural(others, kinds) if isinstance(others, dict) else dict(OPEN)
    else:
        made |= OPEN
    if required := [name for name in schema.get("required", ()) if name != "metadata"]:
        made["required"] = required
    return made


def _without_metadata(schema):
    return {name: each for name, each in schema["properties"].items() if name != "metadata"}


def _run(words, **where):
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600, **where)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} fails\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
