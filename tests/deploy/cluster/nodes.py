"""What stands in for a cloud: machines in three zones, disks, and the secrets that a provider would mount."""

import base64

ZONES = ("us-central1-a", "us-central1-b", "us-central1-c")
GPU_ZONE = ZONES[0]
SHARES = 2
"""Pods that share the one GPU: a node with time-sharing offers it that many times."""

NO_SCHEDULE = "NoSchedule"
ROOM = {"cpu": "3520m", "memory": "12800Mi"}
"""What a machine of 4 processors and 16 GiB has for pods that are not Google's."""


def machines():
    """The nodes: an e2-standard-4 in each zone, and a spot g2-standard-4 with one L4 that two pods share.

    Of 16 GiB a node offers 13: Google takes a quarter of the first 4 GiB, a fifth of the next 4 and a tenth of the
    rest, and 100 MiB. What its own pods ask for (logs, metrics, network, the GPU's driver) is some 500 MiB and 400m.
    """
    general = [_node(f"general-{zone[-1]}", zone, **ROOM) for zone in ZONES]
    gpu_labels = {
        "cloud.google.com/gke-accelerator": "nvidia-l4",
        "cloud.google.com/gke-accelerator-count": "1",
        "cloud.google.com/gke-spot": "true",
        "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
        "cloud.google.com/gke-max-shared-clients-per-gpu": str(SHARES),
        "node.kubernetes.io/instance-type": "g2-standard-4",
    }
    gpu_taints = [
        {"key": "nvidia.com/gpu", "value": "present", "effect": NO_SCHEDULE},
        {"key": "cloud.google.com/gke-spot", "value": "true", "effect": NO_SCHEDULE},
    ]
    gpu = _node("gpu-a", GPU_ZONE, **ROOM, labels=gpu_labels, taints=gpu_taints, gpus=SHARES)
    return [*general, gpu]


def _node(name, zone, *, cpu, memory, labels=(), taints=(), gpus=0):
    can = {"cpu": cpu, "memory": memory, "ephemeral-storage": "90Gi", "pods": "110"} | (
        {"nvidia.com/gpu": str(gpus)} if gpus else {}
    )
    own = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": zone[:-2],
        "topology.kubernetes.io/zone": zone,
        "node.kubernetes.io/instance-type": "e2-standard-4",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": own | dict(labels)},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": can, "capacity": can, "phase": "Running"},
    }


def storage_classes():
    """Google's two classes of disks, of which a claim's disk is chosen when its pod has a node."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {
                    "storageclass.kubernetes.io/is-default-class": "true" if name == "standard-rwo" else "false"
                },
            },
            "provisioner": "pd.csi.storage.gke.io",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
            "reclaimPolicy": "Delete",
        }
        for name in ("standard-rwo", "premium-rwo")
    ]


def claims_of(rendered):
    """Name, class, size and modes of each volume that rendered objects claim, those of StatefulSets' pods too."""
    for document in rendered:
        if document["kind"] == "PersistentVolumeClaim":
            yield document["metadata"]["namespace"], document["metadata"]["name"], document["spec"]
        if document["kind"] == "StatefulSet":
            spec = document["spec"]
            for template in spec.get("volumeClaimTemplates", ()):
                for number in range(spec.get("replicas", 1)):
                    name = f"{template['metadata']['name']}-{document['metadata']['name']}-{number}"
                    yield document["metadata"]["namespace"], name, template["spec"]


def disks(rendered):
    """A PersistentVolume for each claim, as a provisioner would make it."""
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{namespace}-{name}"},
            "spec": {
                "capacity": spec["resources"]["requests"],
                "accessModes": spec["accessModes"],
                "storageClassName": spec.get("storageClassName", "standard-rwo"),
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name},
                "csi": {"driver": "pd.csi.storage.gke.io", "volumeHandle": f"{namespace}/{name}"},
            },
        }
        for namespace, name, spec in claims_of(rendered)
    ]


def mounted_secrets(rendered):
    """A Secret for each one that a pod mounts and no rendered object makes, as `sapphire secrets make` would."""
    made = {(at["namespace"], at["name"]) for at in (each["metadata"] for each in rendered if each["kind"] == "Secret")}
    keys = {}
    for document, pod in pods_of(rendered):
        for volume in pod.get("volumes", ()):
            if secret := volume.get("secret"):
                place = (document["metadata"]["namespace"], secret["secretName"])
                keys.setdefault(place, set()).update(item["key"] for item in secret.get("items", ()))
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": namespace, "name": name},
            "data": {key: base64.b64encode(b"of the test").decode() for key in sorted(found)},
        }
        for (namespace, name), found in sorted(keys.items())
        if (namespace, name) not in made
    ]


def pods_of(rendered):
    """Each rendered object that makes pods, with the specification of its pods."""
    for document in rendered:
        spec = document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if document["kind"] == "Pod":
            yield document, spec
        elif "template" in spec and "spec" in spec["template"]:
            yield document, spec["template"]["spec"]
