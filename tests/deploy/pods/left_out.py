"""What podman does not play of the rendered chart, with why. What nobody honours and is not here fails a test."""

WORKLOADS = {
    "StatefulSet/lab-*": "a lab is nobody's part in trading; make images starts its image",
    "StatefulSet/prometheus": "it asks the cluster's API which pods there are, and there is none",
    "CronJob/*": "jobs of the clock read what a day left; tests of reports and notebooks run them",
}
"""Workloads that are not played, by name."""

OBJECTS = WORKLOADS | {
    "ServiceAccount/*": "podman has no API to be known to",
    "Role/*": "nor rights there",
    "RoleBinding/*": "nor rights there",
    "NetworkPolicy/*": "podman's network lets all of one network talk; make test-cluster lets an API server take them",
    "PriorityClass/*": "one machine evicts nobody",
    "ResourceQuota/*": "there is no namespace",
    "LimitRange/*": "each container says its limits itself",
    "ValidatingAdmissionPolicy/*": "there is nobody to ask for admission",
    "ValidatingAdmissionPolicyBinding/*": "there is nobody to ask for admission",
    "Namespace/*": "there is no API to divide",
    "ConfigMap/images": "tells which images research jobs may have",
    "ConfigMap/prometheus": "of a workload that is not played",
    "ConfigMap/research-jobs": "of a workload that is not played",
    "Service/lab-*": "of a workload that is not played",
    "Service/prometheus": "of a workload that is not played",
}
"""Whole objects."""

_POD = "*/spec/template/spec"
FIELDS = {
    "*/apiVersion": "podman is told the fields themselves",
    "*/metadata/labels/*": "selects objects in the cluster's API",
    "*/metadata/annotations/*": "is read by people, Prometheus and Helm",
    "*/spec/revisionHistoryLimit": "there is one revision",
    "*/spec/selector/*": "which pods are its own, for a controller; there is one pod of each",
    "*/spec/strategy/*": "how an upgrade goes on; make test-cluster upgrades",
    "*/spec/serviceName": "names of pods behind a headless Service; parts find each other by Services",
    "*/spec/persistentVolumeClaimRetentionPolicy/*": "the test itself says when a volume goes",
    "*/spec/volumeClaimTemplates/*/spec/accessModes/*": "one pod mounts it on one machine",
    "*/spec/volumeClaimTemplates/*/spec/resources/requests/storage": "a folder has no size",
    f"{_POD}/serviceAccountName": "podman has no API to be known to",
    f"{_POD}/priorityClassName": "one machine evicts nobody",
    f"{_POD}/affinity/*": "there is one node",
    f"{_POD}/topologySpreadConstraints/*": "there is one node",
    f"{_POD}/securityContext/fsGroupChangePolicy": "volumes are made for their group at once",
    f"{_POD}/*ontainers/*/resources/requests/memory": "a scheduler's number; podman guarantees no memory",
}
"""Fields of the workloads that are played, by their path in the object."""
