"""What tests ask of a control plane: its API, kubectl and Helm, as the administrator or as somebody else."""

import json
import os
import ssl
import subprocess
import time
from functools import cache

import httpx
import yaml

WAIT_S = 60.0


class RefusedError(Exception):
    """The API server's no.

    Parameters
    ----------
    status : HTTP status.
    reason : its message.
    """

    def __init__(self, status, reason):
        super().__init__(f"{status}: {reason}")
        self.status, self.reason = status, reason


class Client:
    """One user's view of a cluster.

    Parameters
    ----------
    built : the programs.
    kubeconfig : path of a configuration.
    user, groups : whom to impersonate; nobody unless given.
    """

    def __init__(self, built, kubeconfig, *, user=None, groups=()):
        self.built, self.kubeconfig, self.user, self.groups = built, kubeconfig, user, tuple(groups)
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, token = config["clusters"][0]["cluster"], config["users"][0]["user"]["token"]
        headers = [("Authorization", f"Bearer {token}")]
        headers += [("Impersonate-User", user)] * (user is not None) + [("Impersonate-Group", each) for each in groups]
        trusted = trusting(cluster["certificate-authority"])
        self._http = httpx.Client(
            base_url=cluster["server"], headers=headers, verify=trusted, trust_env=False, timeout=30.0
        )
        self._resources = cache(self._resources_of)

    def impersonate(self, user, *groups):
        """The same cluster as somebody else sees it."""
        return Client(self.built, self.kubeconfig, user=user, groups=groups)

    def get(self, path, **parameters):
        """The object or the list at a path."""
        return self._answer("GET", path, params=parameters)

    def post(self, path, body, **parameters):
        """The object as it was made."""
        return self._answer("POST", path, json=body, params=parameters)

    def delete(self, path, **parameters):
        """What the server says of the removal."""
        return self._answer("DELETE", path, params=parameters)

    def names(self, path):
        """Names of the objects of a list."""
        return {each["metadata"]["name"] for each in self.get(path)["items"]}

    def create(self, *documents):
        """Make each of these objects."""
        for document in documents:
            self.post(self.path_of(document), document)

    def live(self, document):
        """A rendered object as the cluster has it."""
        return self.get(f"{self.path_of(document)}/{document['metadata']['name']}")

    def wait(self, path, is_done, what, within_s=WAIT_S):
        """The objects of one namespace's list by name, as soon as they are as wanted.

        Parameters
        ----------
        path : of the list.
        is_done : of the objects by name: whether they are.
        what : is waited for, for the message.

        Raises
        ------
        TimeoutError
            they are not within `within_s`; says how they are.
        """
        deadline = time.monotonic() + within_s
        while True:
            listed = self.get(path)
            found = {each["metadata"]["name"]: each for each in listed["items"]}
            if is_done(found):
                return found
            left = deadline - time.monotonic()
            if left < 1:
                states = "\n".join(f"  {name}: {_state(each)}" for name, each in sorted(found.items()))
                raise TimeoutError(f"not within {within_s:.0f} s: {what}\n{states}")
            if self._watched(path, listed["metadata"]["resourceVersion"], found, is_done, left):
                return found

    def _watched(self, path, version, found, is_done, seconds):
        """Follows changes until the objects are as wanted or the server ends the watch."""
        parameters = {"watch": 1, "resourceVersion": version, "timeoutSeconds": max(1, int(seconds))}
        with self._http.stream("GET", path, params=parameters, timeout=seconds + 10) as changes:
            for line in changes.iter_lines():
                change = json.loads(line)
                if change["type"] == "ERROR":
                    return False
                name = change["object"]["metadata"]["name"]
                if change["type"] == "DELETED":
                    found.pop(name, None)
                else:
                    found[name] = change["object"]
                if is_done(found):
                    return True
        return False

    def may(self, verb, resource, namespace=None, *, group="", subresource="", name=""):
        """Whether this user may, by the cluster's roles."""
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name}
        spec = {"resourceAttributes": attributes | ({"namespace": namespace} if namespace else {})}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
        answer = self.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return answer["status"]["allowed"]

    def create_definitions(self, folder):
        """Make the definitions of a folder, and wait until their resources can be used."""
        self.kubectl("apply", "--server-side", "-f", str(folder))
        self.wait(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            lambda found: all(has_condition(each, "Established") for each in found.values()),
            "definitions of custom resources are established",
        )

    def kubectl(self, *words, stdin=None):
        """What kubectl prints."""
        return self._run("kubectl", *words, stdin=stdin)

    def helm(self, *words, stdin=None):
        """What Helm prints."""
        return self._run("helm", *words, stdin=stdin)

    def _run(self, program, *words, stdin=None):
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig), "HELM_DRIVER": "configmap"}
        if self.user is not None:
            prefix = "--kube-as" if program == "helm" else "--as"
            user = f"{prefix}-user" if program == "helm" else prefix
            words = (f"{user}={self.user}", *(f"{prefix}-group={each}" for each in self.groups), *words)
        done = subprocess.run(
            (self.built.program(program), *words),
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _answer(self, method, path, **request):
        response = self._http.request(method, path, **request)
        answer = response.json()
        if response.is_success:
            return answer
        raise RefusedError(response.status_code, answer.get("message", ""))

    def path_of(self, document):
        """Where objects of a document's kind and namespace are."""
        root, (resource, is_namespaced) = self._resource_of(document)
        namespace = document["metadata"].get("namespace")
        return f"{root}/namespaces/{namespace}/{resource}" if is_namespaced else f"{root}/{resource}"

    def is_namespaced(self, document):
        """Whether objects of a document's kind are in namespaces."""
        return self._resource_of(document)[1][1]

    def _resource_of(self, document):
        version = document["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return root, self._resources(root)[document["kind"]]

    def _resources_of(self, root):
        """The names and scopes of the kinds of an API group."""
        found = [each for each in self.get(root)["resources"] if "/" not in each["name"]]
        return {each["kind"]: (each["name"], each["namespaced"]) for each in found}


def has_condition(thing, kind):
    """Whether an object says so of itself."""
    conditions = thing.get("status", {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _state(thing):
    """An object's state in a line: its phase or counts, and what its conditions complain of."""
    status = thing.get("status", {})
    plain = {name: each for name, each in status.items() if isinstance(each, int) or name == "phase"}
    conditions = status.get("conditions") or ()
    faults = [
        f"{each['type']}: {each['message']}" for each in conditions if each.get("message") and each["status"] != "True"
    ]
    return ", ".join([*(f"{name} {each}" for name, each in plain.items()), *faults])


def trusting(certificate):
    """A TLS context that trusts the server of this certificate alone."""
    return ssl.create_default_context(cafile=str(certificate))
