"""The Kubernetes manifests fit the schemas of Kubernetes, this server's settings, and what they say themselves."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rest.routes import ENDPOINTS
from server import __version__
from server.commands.bounded_server import STOP_SECONDS
from server.setting_files import PREFIX
from server.settings import Settings
from server.shell.health import CHECK_TIMEOUT_SECONDS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
VERSIONS = ("1.29", "1.37")
"""The oldest and the newest that the manifests are for."""

Manifest = dict[str, Any]
MANIFESTS: dict[str, Manifest] = {
    manifest["kind"]: manifest for file in FILES for manifest in yaml.safe_load_all(file.read_text("utf-8"))
}
POD: Manifest = MANIFESTS["Deployment"]["spec"]["template"]
SPEC: Manifest = POD["spec"]
CONTAINER: Manifest = SPEC["containers"][0]


def test_the_manifests_are_all_there_and_hold_no_secret() -> None:
    """A Secret is made by whoever runs the server; docs/operations.md has the command."""
    assert set(MANIFESTS) == {"ConfigMap", "Deployment", "Ingress", "PodDisruptionBudget", "Service"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", MANIFESTS)
def test_kubernetes_accepts_each_manifest(kind: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[kind], version, strict=True)


def test_a_misspelled_field_is_noticed() -> None:
    wrong = MANIFESTS["Service"] | {"spec": MANIFESTS["Service"]["spec"] | {"selektor": {}}}
    with pytest.raises(kubernetes_validate.ValidationError, match="selektor"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_name_of_a_setting_is_a_setting() -> None:
    named = {name for file in FILES for name in re.findall(rf"\b{PREFIX}\w+", file.read_text("utf-8"))}
    assert named
    assert {name.removeprefix(PREFIX).lower() for name in named} - Settings.model_fields.keys() == set()


def test_settings_that_are_secret_come_from_the_secret() -> None:
    from_secret = {
        entry["name"].removeprefix(PREFIX).lower(): entry["valueFrom"]["secretKeyRef"]["key"].lower()
        for entry in CONTAINER["env"]
    }
    assert all(name == key for name, key in from_secret.items())
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret >= from_secret.keys()
    assert not secret & {name.removeprefix(PREFIX).lower() for name in MANIFESTS["ConfigMap"]["data"]}


def test_kubernetes_sets_no_setting_by_itself() -> None:
    """For a Service `selfmemory`, service links would set SELFMEMORY_PORT to a URL and others that are no settings."""
    assert SPEC["enableServiceLinks"] is False


def test_the_config_map_is_accepted_as_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MANIFESTS["ConfigMap"]["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(f"{PREFIX}SECRET_KEY", "k" * 32)
    assert Settings(_env_file=None).is_https


def test_the_pod_runs_without_root_and_writes_only_where_it_must() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert SPEC["securityContext"]["runAsNonRoot"] is True
    user, group = SPEC["securityContext"]["runAsUser"], SPEC["securityContext"]["runAsGroup"]
    assert f"useradd --uid {user} --gid {group} " in dockerfile
    assert f"\nUSER {user}:{group}\n" in dockerfile  # a name would be refused because of `runAsNonRoot` alone
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert {volume["name"] for volume in SPEC["volumes"]} == mounted.keys()
    assert set(mounted.values()) == {"/data", "/tmp"}
    assert "SELFMEMORY_DATA_DIR=/data" in dockerfile


def test_the_probes_ask_what_the_server_serves_and_wait_for_its_answer() -> None:
    paths = {endpoint.path for endpoint in ENDPOINTS}
    probes = {name: CONTAINER[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["httpGet"]["path"] for name, probe in probes.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {probe["httpGet"]["path"] for probe in probes.values()} <= paths
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {CONTAINER["ports"][0]["name"]}
    assert all(probe["timeoutSeconds"] > CHECK_TIMEOUT_SECONDS for probe in probes.values())


def test_the_pod_has_more_time_to_stop_than_its_requests_have() -> None:
    _, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert int(seconds) + STOP_SECONDS < SPEC["terminationGracePeriodSeconds"]


def test_everything_finds_the_pods() -> None:
    labels = POD["metadata"]["labels"]
    service, budget = MANIFESTS["Service"]["spec"], MANIFESTS["PodDisruptionBudget"]["spec"]
    assert service["selector"] == budget["selector"]["matchLabels"] == labels
    assert MANIFESTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert service["ports"][0]["targetPort"] == CONTAINER["ports"][0]["name"]
    (rule,) = MANIFESTS["Ingress"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": MANIFESTS["Service"]["metadata"]["name"], "port": {"name": "http"}}
    assert MANIFESTS["ConfigMap"]["data"][f"{PREFIX}PUBLIC_URL"] == f"https://{rule['host']}"


def test_one_pod_answers_while_another_one_is_moved() -> None:
    assert MANIFESTS["Deployment"]["spec"]["replicas"] > MANIFESTS["PodDisruptionBudget"]["spec"]["minAvailable"] >= 1


def test_the_image_is_this_version() -> None:
    assert CONTAINER["image"].endswith(f":{__version__}")
