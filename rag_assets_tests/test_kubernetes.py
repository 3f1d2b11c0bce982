"""The Kubernetes example, as far as it can be checked without a cluster: every field by name."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_assets import settings

FOLDER = Path(__file__).parents[1] / "docs" / "operating" / "kubernetes"
GUARDED_UI = "rag_assets.orchestration.webserver"
KINDS = {
    "ConfigMap": "V1ConfigMap", "Deployment": "V1Deployment", "NetworkPolicy": "V1NetworkPolicy",
}  # fmt: skip


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def checked(kind: str, value: dict[str, Any]) -> Any:  # noqa: ANN401 - a model of the client's
    """The value as Kubernetes' own client types it; an unknown or missing field raises."""
    from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
    from kubernetes import client

    model = getattr(client, kind)
    return k8s_model_from_dict(model, k8s_snake_case_dict(model, value))


def pods() -> dict[str, dict[str, Any]]:
    (cluster,) = documents("raycluster.yaml")
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    found = {group.get("groupName", "head"): group["template"] for group in groups}
    for document in documents("rag.yaml"):
        if document["kind"] == "Deployment":
            found[document["metadata"]["name"]] = document["spec"]["template"]
    return found


@pytest.mark.parametrize("document", documents("rag.yaml"), ids=lambda d: str(d["kind"]))
def test_every_object_is_one_that_kubernetes_knows(document: dict[str, Any]) -> None:
    assert checked(KINDS[document["kind"]], document).metadata.name


@pytest.mark.parametrize("name", sorted(pods()))
def test_pods_are_whole(name: str) -> None:
    pod = checked("V1PodTemplateSpec", pods()[name]).spec
    volumes = {volume.name for volume in pod.volumes or []}
    for container in [*pod.containers, *(pod.init_containers or [])]:
        assert {mount.name for mount in container.volume_mounts or []} <= volumes
        assert container.image == "example.org/rag-assets:1"


def test_the_ui_listens_in_its_pod_alone() -> None:
    commands = [c["command"] for c in pods()["rag-dagster"]["spec"]["containers"]]
    assert [command for command in commands if GUARDED_UI in command]  # on the loopback alone
    assert not [command for command in commands if "dagster-webserver" in command]
    assert not [of for of in documents("rag.yaml") if of["kind"] in ("Service", "Ingress")]


def test_a_misspelled_field_is_seen() -> None:
    pod = {"spec": {"containers": [{"name": "a", "imagePolicy": "Always"}]}}
    with pytest.raises(Exception, match="imagePolicy"):
        checked("V1PodTemplateSpec", pod)


def test_names_meet() -> None:
    """What one file refers to, another defines."""
    objects = documents("rag.yaml")
    defined = {o["metadata"]["name"] for o in objects} | {"rag-secrets"}
    for pod in pods().values():
        for container in pod["spec"]["containers"]:
            for source in container["envFrom"]:
                (reference,) = source.values()
                assert reference["name"] in defined
    (environment,) = (o["data"] for o in objects if o["metadata"]["name"] == "rag-env")
    (cluster,) = documents("raycluster.yaml")
    assert cluster["metadata"]["name"] + "-head-svc" in environment["RAG_RAY_ADDRESS"]
    table = settings.__doc__ or ""
    assert all(f"{name} " in table for name in environment if name.startswith("RAG_"))


def test_sources_are_declared_as_the_catalogue_reads_them(tmp_path: Path) -> None:
    from rag_assets.sources.catalog import declared

    (data,) = (o["data"] for o in documents("rag.yaml") if o["metadata"]["name"] == "rag-sources")
    (tmp_path / "sources.yaml").write_text(data["sources.yaml"])
    assert len(declared(tmp_path / "sources.yaml")["contracts"].partitions) == 1024


def test_the_cluster_is_what_the_lock_holds() -> None:
    from dagster_ray.kuberay.configs import RayClusterSpec

    (cluster,) = documents("raycluster.yaml")
    assert cluster["spec"]["rayVersion"] == version("ray")
    keys = {re.sub(r"([A-Z])", r"_\1", key).lower() for key in cluster["spec"]}
    assert keys <= set(RayClusterSpec.model_fields)


def test_the_run_launcher_takes_its_configuration() -> None:
    from dagster._config import process_config, resolve_to_config_type
    from dagster_k8s import K8sRunLauncher

    (document,) = documents("k8s-run-launcher.yaml")
    schema = resolve_to_config_type(K8sRunLauncher.config_type())
    config = document["run_launcher"]["config"]
    result = process_config(schema, config)
    assert result.success, result.errors
    assert not process_config(schema, {**config, "job_imag": "x"}).success
