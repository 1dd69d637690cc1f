"""The files for clusters that are not docker-compose's keep the same rules."""

import re

import pytest
import yaml

from tests.stack.compose import ROOT, services

DOCUMENTS = list(yaml.safe_load_all((ROOT / "docker/kuberay.yaml").read_text()))
RAY = next(one for one in DOCUMENTS if one["kind"] == "RayCluster")["spec"]
PODS = {
    "head": RAY["headGroupSpec"]["template"]["spec"],
    **{group["groupName"]: group["template"]["spec"] for group in RAY["workerGroupSpecs"]},
    "client": next(one for one in DOCUMENTS if one["kind"] == "Deployment")["spec"]["template"][
        "spec"
    ],
}
EACH = pytest.mark.parametrize("name", sorted(PODS))


def test_the_ray_launcher_takes_its_file():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "docker/ray-cluster.yaml").read_text())
    validate_config(prepare_config(config))
    for start in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "RAY_AUTH_MODE=token" in config[start][-1]


@EACH
def test_a_pod_has_no_rights_that_it_does_not_need(name):
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) >= {"cpu", "memory"}


@EACH
def test_a_pod_knows_the_token_from_the_secret_and_writes_to_volumes(name):
    (container,) = PODS[name]["containers"]
    secrets = {
        one["name"]: one["valueFrom"]["secretKeyRef"]
        for one in container["env"]
        if "valueFrom" in one
    }
    assert secrets["RAY_AUTH_TOKEN"] == {"name": "tauopt", "key": "ray_token"}
    assert container["envFrom"] == [{"configMapRef": {"name": "tauopt"}}]
    places = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert places == {"work": "/srv/tauopt", "scratch": "/tmp", "shared-memory": "/dev/shm"}
    assert {one["name"] for one in PODS[name]["volumes"]} == set(places)


def test_no_secret_stands_in_a_file():
    config = next(one for one in DOCUMENTS if one["kind"] == "ConfigMap")["data"]
    assert config["RAY_AUTH_MODE"] == "token"
    assert not [key for key in config if re.search("PASSWORD|TOKEN|SECRET|STORAGE", key)]
    assert {one["kind"] for one in DOCUMENTS} == {
        "PersistentVolumeClaim", "ConfigMap", "RayCluster", "Deployment",
    }  # fmt: skip


def test_nodes_have_the_image_and_the_folders_of_the_compose_file():
    node = services()["ray-worker"]
    config = next(one for one in DOCUMENTS if one["kind"] == "ConfigMap")["data"]
    assert config["TAUOPT_CACHE"] == node["environment"]["TAUOPT_CACHE"]
    assert config["TAUOPT_OUTPUT"] == services()["tauopt"]["environment"]["TAUOPT_OUTPUT"]
    assert node["image"].startswith("tauopt:")
    assert PODS["cpu"]["containers"][0]["image"] == "tauopt:latest"
    assert PODS["gpu"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert RAY["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_apptainer_image_is_made_as_the_docker_image_is():
    steps = (ROOT / "docker/apptainer.def").read_text()
    docker = (ROOT / "docker/Dockerfile").read_text()
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", docker, re.MULTILINE)[1]
    assert f"From: {base}\n" in steps
    for option in ("--require-hashes", "--no-deps --no-build-isolation", "compileall -q -j 0"):
        assert option in docker
        assert option in steps
    copied = set(re.findall(r"^    (\S+) /src/\S+$", steps, re.MULTILINE))
    assert copied == {
        "docker/requirements.txt", "docker/requirements-gpu.txt", "pyproject.toml", "README.md",
        "LICENSE", "tauopt",
    }  # fmt: skip
