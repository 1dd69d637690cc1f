"""The rules that the service keeps, each an assertion on the files that start it."""

import os
import re
import shutil
import stat
import subprocess

import pytest
import yaml

from tests.stack.compose import ROOT, compose, interpolated, services
from tests.stack.stack import SECRETS

SERVICES = services()
LONG_RUNNING = {name for name, one in SERVICES.items() if one.get("restart")}
OURS = {name for name, one in SERVICES.items() if one["image"].startswith("tauopt")}
EACH = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_services_are_those_of_the_readme():
    assert set(SERVICES) == {
        "postgres", "mlflow", "ray-head", "ray-worker", "ray-worker-gpu", "tauopt", "dashboard",
        "s3", "backup",
    }  # fmt: skip
    profiles = {name: one.get("profiles", []) for name, one in SERVICES.items()}
    started = {name for name, of in profiles.items() if not of}
    assert started == {"postgres", "mlflow", "ray-head", "ray-worker"}
    assert profiles["ray-worker-gpu"] == ["gpu"]
    assert (profiles["dashboard"], profiles["s3"]) == (["dashboard"], ["s3"])
    assert profiles["backup"] == ["backup"]


@EACH
def test_nobody_is_root_and_nothing_of_the_system_can_be_written_or_gained(name):
    one = SERVICES[name]
    assert str(one["user"]).split(":")[0] not in ("", "0", "root")
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert not one.get("privileged")
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert any(place.split(":")[0] == "/tmp" for place in one["tmpfs"])
    assert not any(str(volume).startswith("/var/run") for volume in one.get("volumes", []))
    assert "network_mode" not in one
    assert "pid" not in one


@EACH
def test_each_service_has_limits_and_bounded_logs(name):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert SERVICES[name]["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_each_running_service_has_a_health_check_that_uses_it(name):
    check = SERVICES[name]["healthcheck"]
    line = " ".join(check["test"])
    assert check["test"][0] == "CMD"
    assert not re.search(r"/health$", line)
    assert re.search(r"SELECT 1|healthy_mlflow|health-check|api/studies|ready", line)


def test_the_health_of_mlflow_is_that_of_a_client():
    text = (ROOT / "docker/healthy_mlflow.py").read_text()
    assert "Authorization" in text
    assert SERVICES["mlflow"]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert "mlflow-artifacts/artifacts" in text


def test_clients_inside_and_outside_are_among_the_allowed_hosts():
    hosts = SERVICES["mlflow"]["environment"]["MLFLOW_ALLOWED_HOSTS"].split(",")
    inside = SERVICES["tauopt"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert inside in hosts
    assert {"localhost:*", "127.0.0.1:*"} <= set(hosts)
    assert "*" not in hosts


@EACH
def test_ports_are_published_on_the_loopback_only(name):
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_the_database_is_on_an_internal_network_that_only_its_clients_share():
    networks = compose()["networks"]
    assert networks["database"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert "ports" not in SERVICES["postgres"]
    there = {name for name, one in SERVICES.items() if "database" in one["networks"]}
    assert there == {"postgres", "mlflow", "tauopt", "dashboard", "backup"}


def test_every_secret_is_a_file_and_none_has_a_default():
    whole = compose()
    assert set(whole["secrets"]) == set(SECRETS)
    for name, one in whole["secrets"].items():
        with pytest.raises(KeyError, match="TAUOPT_SECRETS"):
            interpolated(one["file"], {})
        assert interpolated(one["file"], {"TAUOPT_SECRETS": "/s"}) == f"/s/{name}"
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET_KEY|SECRET_ACCESS", variable):
                is_file = variable.endswith("_FILE") and value.startswith("/run/secrets/")
                assert is_file or interpolated(value, {}) == "", (name, variable)
                if is_file:
                    assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_the_tracking_server_asks_for_a_password_and_keeps_its_other_doors_shut():
    text = (ROOT / "docker/mlflow.sh").read_text()
    assert "--app-name basic-auth" in text
    assert "admin_password" not in text
    for door in ("JOB_EXECUTION=false", "AI_GATEWAY=false", "REMOTE_ASSISTANT=false"):
        assert door in text
    assert "--backend-store-uri" not in text  # its password would be on the command line


def test_ray_asks_for_a_token_and_has_no_dashboard():
    for name in ("ray-head", "ray-worker", "ray-worker-gpu", "tauopt"):
        environment = SERVICES[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_FILE"] == "/run/secrets/ray_token"
    assert "--include-dashboard=false" in (ROOT / "docker/ray.sh").read_text()


def test_nodes_and_commands_share_output_and_cache_under_one_path():
    for name in ("ray-worker", "ray-worker-gpu", "tauopt"):
        assert "work:/srv/tauopt" in SERVICES[name]["volumes"]
        assert SERVICES[name]["environment"]["TAUOPT_CACHE"].startswith("/srv/tauopt/")
    assert SERVICES["tauopt"]["environment"]["TAUOPT_OUTPUT"].startswith("/srv/tauopt/")


def test_a_gpu_worker_reserves_gpus_and_has_what_tensorflow_needs_of_cuda():
    worker = SERVICES["ray-worker-gpu"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    extra = worker["build"]["args"]["EXTRA_REQUIREMENTS"]
    assert "nvidia-cudnn" in (ROOT / "docker" / extra).read_text()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-gpu.txt"])
def test_every_package_is_pinned_with_digests_and_no_host_is_named(name):
    text = (ROOT / "docker" / name).read_text()
    assert "://" not in text
    blocks = re.findall(r"^(\S.*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.M)
    packages = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert len(blocks) == len(packages)
    assert all("==" in package for package in packages)


def test_the_pins_hold_all_that_tauopt_depends_on():
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "docker/requirements.txt").read_text()
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", text, re.M))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["demo"], *extras["onnx"], *extras["xrootd"]]
    wanted += [*extras["postgres"], *(one for one in extras["server"] if "tauopt" not in one)]
    for requirement in map(Requirement, wanted):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_image_is_built_in_stages_installs_by_digest_and_runs_as_a_user():
    text = (ROOT / "docker/Dockerfile").read_text()
    stages = re.findall(r"^FROM (.*)$", text, re.M)
    assert stages == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    final = text[text.rindex("FROM ") :]
    assert "--require-hashes" in text
    assert "pip install" not in final
    assert re.findall(r"^USER (.*)$", final, re.M) == ["tauopt"]
    assert not re.search(r"^(ADD|COPY \.) ", text, re.M)
    assert "PASSWORD" not in text


def test_what_is_no_part_of_the_image_is_not_sent_to_its_builder():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    kept = {line.removeprefix("!") for line in ignored[1:] if line.startswith("!")}
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (ROOT / "docker/Dockerfile").read_text(), re.M
    )
    for source in " ".join(copied).split():
        assert source.split("/")[0].split("*")[0] in kept, source


def test_secrets_are_made_once_and_only_for_their_owner(tmp_path):
    copy = tmp_path / "checkout"
    (copy / "docker").mkdir(parents=True)
    shutil.copy(ROOT / "docker/up", copy / "docker")
    environment = {"PATH": os.environ["PATH"], "TAUOPT_SECRETS": str(tmp_path / "secrets")}

    def made():
        subprocess.run(["sh", "docker/up", "secrets"], cwd=copy, env=environment, check=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    first = made()
    assert set(first) == set(SECRETS)
    assert all(re.fullmatch(r"[0-9a-f]{64}", secret) for secret in first.values())
    assert len(set(first.values())) == len(SECRETS)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert made() == first
    # What `.env` says holds for both, and what the shell says before it.
    (copy / ".env").write_text("TAUOPT_SECRETS=elsewhere\n")
    assert made() == first
    del environment["TAUOPT_SECRETS"]
    subprocess.run(["sh", "docker/up", "secrets"], cwd=copy, env=environment, check=True)
    assert len(list((copy / "elsewhere").iterdir())) == len(SECRETS)


def test_a_secret_that_is_missing_ends_a_service_with_a_word_on_what_to_do(tmp_path):
    line = ["sh", str(ROOT / "docker/entrypoint.sh"), "sh", "-c", "echo $WORD ${WORD_FILE:-gone}"]
    environment = {"PATH": os.environ["PATH"], "WORD_FILE": str(tmp_path / "word")}
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "WORD_FILE" in ended.stderr
    assert ".env.example" in ended.stderr
    (tmp_path / "word").write_text("s3cret\n")
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "s3cret gone\n"


def test_every_setting_of_the_example_is_one_of_the_compose_file():
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.M))
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert named <= used
    assert used - named <= {"TAUOPT_VERSION"}


def test_scripts_are_sound_shell_and_can_be_run():
    for path in [*(ROOT / "docker").glob("*.sh"), ROOT / "docker/up"]:
        subprocess.run(["sh", "-n", str(path)], check=True)
        assert os.access(path, os.X_OK), path
        assert "set -eu" in path.read_text()


def test_compose_itself_takes_the_file(tmp_path):
    line = ["docker", "compose", "version"]
    if (
        not shutil.which("docker")
        or subprocess.run(line, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs docker compose")
    for name in SECRETS:
        (tmp_path / name).write_text("x")
    environment = os.environ | {"TAUOPT_SECRETS": str(tmp_path)}
    line = ["docker", "compose", "--profile", "*", "config", "--format", "json"]
    ended = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert set(yaml.safe_load(ended.stdout)["services"]) == set(SERVICES)
