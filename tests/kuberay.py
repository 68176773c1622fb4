"""A strict reading of Kubernetes manifests: unknown keys, wrong types, missing fields are refused.

Kubernetes' own kinds are those of its Python client, generated from its OpenAPI description.
KubeRay's are below: names, types and allowed values as its API reference documents them for 1.6.2
(https://docs.ray.io/en/master/cluster/kubernetes/references/api.html), in our own notation.
"""

from __future__ import annotations

import re
from typing import Any

from kubernetes import client

Kind = dict[str, Any]
"""Field → its type: a class of ``client``, a name in ``RAY``, a set of allowed values, a Python
type, or one of these in a list; ``!`` after a name: it must be there."""

_TEXTS = "Dict[str, str]"
_ON_DELETE = {"DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone"}
_MANAGERS = {"ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"}

RAY: dict[str, Kind] = {
    "RayCluster": {
        "apiVersion!": {"ray.io/v1"},
        "kind!": {"RayCluster"},
        "metadata!": "V1ObjectMeta",
        "spec!": "RayClusterSpec",
    },
    "RayJob": {
        "apiVersion!": {"ray.io/v1"},
        "kind!": {"RayJob"},
        "metadata!": "V1ObjectMeta",
        "spec!": "RayJobSpec",
    },
    "RayService": {
        "apiVersion!": {"ray.io/v1"},
        "kind!": {"RayService"},
        "metadata!": "V1ObjectMeta",
        "spec!": "RayServiceSpec",
    },
    "RayClusterSpec": {
        "rayVersion": str,
        "authOptions": "AuthOptions",
        "upgradeStrategy": "RayClusterUpgradeStrategy",
        "suspend": bool,
        "managedBy": _MANAGERS,
        "enableInTreeAutoscaling": bool,
        "autoscalerOptions": "AutoscalerOptions",
        "headServiceAnnotations": _TEXTS,
        "gcsFaultToleranceOptions": "GcsFaultToleranceOptions",
        "headGroupSpec!": "HeadGroupSpec",
        "workerGroupSpecs": ["WorkerGroupSpec"],
    },
    "AuthOptions": {
        "mode": {"disabled", "token"},
        "secretName": str,
        "enableK8sTokenAuth": bool,
    },
    "RayClusterUpgradeStrategy": {"type": {"Recreate", "None"}},
    "AutoscalerOptions": {
        "resources": "V1ResourceRequirements",
        "image": str,
        "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
        "securityContext": "V1SecurityContext",
        "idleTimeoutSeconds": int,
        "upscalingMode": {"Default", "Aggressive", "Conservative"},
        "version": {"v1", "v2"},
        "env": ["V1EnvVar"],
        "envFrom": ["V1EnvFromSource"],
        "volumeMounts": ["V1VolumeMount"],
    },
    "GcsFaultToleranceOptions": {
        "redisAddress": str,
        "redisUsername": "RedisCredential",
        "redisPassword": "RedisCredential",
        "externalStorageNamespace": str,
    },
    "RedisCredential": {"value": str, "valueFrom": "V1EnvVarSource"},
    "HeadGroupSpec": {
        "template!": "V1PodTemplateSpec",
        "rayStartParams": _TEXTS,
        "headService": "V1Service",
        "serviceType": {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"},
        "enableIngress": bool,
        "resources": _TEXTS,
        "labels": _TEXTS,
    },
    "WorkerGroupSpec": {
        "groupName!": str,
        "template!": "V1PodTemplateSpec",
        "rayStartParams": _TEXTS,
        "replicas": int,
        "minReplicas!": int,
        "maxReplicas!": int,
        "numOfHosts": int,
        "idleTimeoutSeconds": int,
        "resources": _TEXTS,
        "labels": _TEXTS,
        "suspend": bool,
        "scaleStrategy": "ScaleStrategy",
    },
    "ScaleStrategy": {"workersToDelete": [str]},
    "RayJobSpec": {
        "entrypoint": str,
        "rayClusterSpec": "RayClusterSpec",
        "clusterSelector": _TEXTS,
        "submissionMode": {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"},
        "submitterPodTemplate": "V1PodTemplateSpec",
        "submitterConfig": "SubmitterConfig",
        "runtimeEnvYAML": str,
        "jobId": str,
        "metadata": _TEXTS,
        "entrypointNumCpus": float,
        "entrypointNumGpus": float,
        "entrypointResources": str,
        "activeDeadlineSeconds": int,
        "preRunningDeadlineSeconds": int,
        "backoffLimit": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "deletionStrategy": "DeletionStrategy",
        "suspend": bool,
        "managedBy": _MANAGERS,
    },
    "SubmitterConfig": {"backoffLimit": int},
    "DeletionStrategy": {"deletionRules": ["DeletionRule"]},
    "DeletionRule": {"policy!": _ON_DELETE, "condition!": "DeletionCondition"},
    "DeletionCondition": {
        "jobStatus": {"SUCCEEDED", "FAILED"},
        "jobDeploymentStatus": {"Failed"},
        "ttlSeconds": int,
    },
    "RayServiceSpec": {
        "serveConfigV2": str,
        "rayClusterConfig!": "RayClusterSpec",
        "upgradeStrategy": "RayServiceUpgradeStrategy",
        "rayClusterDeletionDelaySeconds": int,
        "excludeHeadPodFromServeSvc": bool,
        "serveService": "V1Service",
        "managedBy": _MANAGERS,
    },
    "RayServiceUpgradeStrategy": {
        "type": {"NewCluster", "NewClusterWithIncrementalUpgrade", "None"},
        "clusterUpgradeOptions": "ClusterUpgradeOptions",
    },
    "ClusterUpgradeOptions": {
        "maxSurgePercent": int,
        "stepSizePercent": int,
        "intervalSeconds": int,
        "gatewayClassName": str,
    },
}
CORE = {
    ("v1", "ServiceAccount"): "V1ServiceAccount",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
    ("policy/v1", "PodDisruptionBudget"): "V1PodDisruptionBudget",
}
_PLAIN: dict[str, type] = {"str": str, "int": int, "bool": bool, "float": float}


def check(manifest: dict[str, Any]) -> None:
    """Raise ValueError, with the place and what may stand there, unless the API server and the
    operator would take this manifest."""
    kind = str(manifest.get("kind"))
    if manifest.get("apiVersion") == "ray.io/v1" and kind in ("RayCluster", "RayJob", "RayService"):
        _check(manifest, kind, kind)
        return
    name = CORE.get((str(manifest.get("apiVersion")), kind))
    if name is None:
        raise ValueError(f"{manifest.get('apiVersion')} {kind} is no kind that is known here")
    _check(manifest, name, kind)


def _check(value: Any, kind: Any, place: str) -> None:
    if isinstance(kind, list):
        _instance(value, list, place)
        for index, entry in enumerate(value):
            _check(entry, kind[0], f"{place}[{index}]")
    elif isinstance(kind, set):
        if value not in kind:
            raise ValueError(f"{place} is {value!r}; expected one of {sorted(kind)}")
    elif isinstance(kind, type):
        _instance(value, kind, place)
    elif kind in RAY:
        fields = RAY[kind]
        needed = {name.removesuffix("!") for name in fields if name.endswith("!")}
        _fields(value, {n.removesuffix("!"): k for n, k in fields.items()}, needed, place)
    elif kind in _PLAIN:
        _instance(value, _PLAIN[kind], place)
    elif match := re.fullmatch(r"List\[(.+)\]", kind):
        _check(value, [match[1]], place)
    elif match := re.fullmatch(r"Dict\[str, (.+)\]", kind):
        _instance(value, dict, place)
        for key, entry in value.items():
            _check(entry, match[1], f"{place}.{key}")
    elif kind != "object":  # that is a number or a text: a port, a share
        _core(value, getattr(client, kind), place)


def _core(value: Any, model: type[Any], place: str) -> None:
    """A kind of Kubernetes' own: its fields, and what its constructor insists on."""
    names = model.attribute_map
    kinds = {names[attribute]: kind for attribute, kind in model.openapi_types.items()}
    _fields(value, kinds, set(), place)
    attributes = {name: attribute for attribute, name in names.items()}
    try:
        model(**{attributes[name]: entry for name, entry in value.items()})
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _fields(value: Any, kinds: dict[str, Any], needed: set[str], place: str) -> None:
    _instance(value, dict, place)
    for name, entry in value.items():
        if name not in kinds:
            raise ValueError(f"{place} has {name!r}; expected some of {', '.join(sorted(kinds))}")
        _check(entry, kinds[name], f"{place}.{name}")
    if missing := needed - set(value):
        raise ValueError(f"{place} lacks {', '.join(sorted(missing))}")


def _instance(value: Any, kind: type, place: str) -> None:
    taken = (int, float) if kind is float else kind
    if not isinstance(value, taken) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{place} is {value!r}; expected {kind.__name__}")
