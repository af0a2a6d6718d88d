"""docker-compose.yml and the image agree with the code: no engine is needed to see that."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from stream.cli import group
from stream.gateway.access import Access
from stream.gateway.tokens import SCOPES, Tokens
from stream.settings import SECRETS, environment_names, load_settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
OURS = [name for name, service in SERVICES.items() if "build" in service]
COMMANDS = [name for name in OURS if "entrypoint" not in SERVICES[name]]
RUN_ONCE = ["topics", "tokens"]
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))


def test_it_is_the_whole_system() -> None:
    monitoring = {"prometheus", "alertmanager", "grafana"}
    assert set(SERVICES) == {"kafka", "topics", "worker", "tokens", "gateway"} | monitoring
    assert COMMANDS == ["topics", "worker", "gateway"]


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_those_of_ajil(name: str) -> None:
    subcommand, *options = SERVICES[name]["command"]

    command = group.get_command(click.Context(group), subcommand)
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(options) <= known


@pytest.mark.parametrize("name", OURS)
def test_settings_are_those_of_ajil_and_hold(name: str) -> None:
    environment = SERVICES[name]["environment"]

    assert set(environment) <= set(environment_names())
    # The tokens file is made in the container.
    assert load_settings(environment | {"AJIL_GATEWAY_TOKENS_FILE": ""}).brokers == "kafka:19092"


def test_the_images_settings_hold() -> None:
    environment = dict(re.findall(r"(AJIL_[A-Z_]+)=(\S+)", DOCKERFILE))

    assert set(environment) <= set(environment_names())
    assert load_settings(environment).http_port == int(re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.M)[0])


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")

    assert image
    assert re.search(r"\d+\.\d+\.\d+", tag), "a tag that moves gives another program tomorrow"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_down(name: str) -> None:
    secrets = {f"AJIL_{secret.upper()}" for secret in SECRETS}
    written = {key for key, value in SERVICES[name].get("environment", {}).items() if value}

    assert not written & secrets
    assert not [key for key in written if re.search("PASSWORD|SECRET|TOKEN(?!S_FILE)|JAAS", key)]


def test_nothing_starts_before_what_it_needs() -> None:
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["worker"]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}
    assert "healthcheck" in SERVICES["kafka"]
    assert "\nHEALTHCHECK " in DOCKERFILE


def test_brokers_are_an_address_that_kafka_gives_its_clients() -> None:
    kafka = SERVICES["kafka"]["environment"]
    advertised = dict(entry.split("://") for entry in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))

    assert advertised["INTERNAL"] == SERVICES["worker"]["environment"]["AJIL_BROKERS"]
    assert f"{advertised['HOST']}:9092" in SERVICES["kafka"]["ports"]


def test_a_worker_has_time_to_finish_its_batch() -> None:
    grace = SERVICES["worker"]["stop_grace_period"]

    assert int(grace.removesuffix("s")) > load_settings({}).stop_deadline + 3  # Faust's own shutdown takes 2-3 s


def test_the_image_gets_every_file_that_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [source for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M) for source in line.split()[:-1]]

    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_the_gateway_gets_tokens_that_are_made_once(tmp_path: Path) -> None:
    service, gateway = SERVICES["tokens"], SERVICES["gateway"]
    path = gateway["environment"]["AJIL_GATEWAY_TOKENS_FILE"]
    assert service["command"] == [path]
    assert service["volumes"] == ["tokens:/run/ajil"]
    assert "tokens:/run/ajil:ro" in gateway["volumes"]
    assert gateway["depends_on"]["tokens"] == {"condition": "service_completed_successfully"}
    python, *arguments = service["entrypoint"]
    assert python == "python3"

    file = tmp_path / "tokens"
    subprocess.run([sys.executable, *arguments, str(file)], check=True)
    first = file.read_text("utf-8")
    subprocess.run([sys.executable, *arguments, str(file)], check=True)

    assert file.read_text("utf-8") == first
    callers = [Tokens.read(file).caller(line.rpartition(":")[2]) for line in first.splitlines()]
    assert {scope for caller in callers if caller for scope in caller.scopes} == SCOPES
    Access(load_settings(gateway["environment"] | {"AJIL_GATEWAY_TOKENS_FILE": str(file)}))


def test_the_gateway_is_reached_and_asked_for_its_health_where_it_listens() -> None:
    gateway = SERVICES["gateway"]
    settings = load_settings(gateway["environment"] | {"AJIL_GATEWAY_TOKENS_FILE": ""})

    assert f"127.0.0.1:{settings.gateway_port}:{settings.gateway_port}" in gateway["ports"]
    asked = re.search(r"http://([^:]+):(\d+)(/\w+)", gateway["healthcheck"]["test"][-1])
    assert asked
    assert settings.gateway_hosts
    assert asked[1] in settings.gateway_hosts.split(",")
    assert int(asked[2]) == settings.gateway_port


def test_prometheus_asks_every_worker_and_the_gateway_by_a_name_that_it_answers_to() -> None:
    jobs = {job["job_name"]: job for job in PROMETHEUS["scrape_configs"]}
    (worker,) = jobs["ajil-worker"]["dns_sd_configs"]
    (target,) = jobs["ajil-gateway"]["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    settings = load_settings(SERVICES["gateway"]["environment"] | {"AJIL_GATEWAY_TOKENS_FILE": ""})

    assert worker["names"] == ["worker"]
    assert SERVICES["worker"]["ports"] == [f"127.0.0.1:8080-8083:{worker['port']}"]
    assert load_settings({}).topic_partitions == 8083 - 8080 + 1
    assert host in SERVICES
    assert settings.gateway_hosts
    assert host in settings.gateway_hosts.split(",")
    assert int(port) == settings.gateway_port


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_are_named_or_files_that_are_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
        assert target.startswith("/")


def test_every_file_that_a_service_names_is_mounted() -> None:
    for name, *paths in (
        ("prometheus", "/etc/prometheus/prometheus.yml", "/etc/prometheus/rules", "/prometheus"),
        ("alertmanager", "/etc/alertmanager/alertmanager.yml", "/alertmanager"),
        ("grafana", "/etc/grafana/provisioning", "/etc/grafana/dashboards", "/usr/share/grafana/public/runbooks"),
    ):
        targets = {volume.split(":")[1] for volume in SERVICES[name]["volumes"]}
        assert set(paths) <= targets
        written = re.findall(r"=(/[a-z/.]+)", " ".join(SERVICES[name].get("command", [])))
        assert set(written) <= targets
    assert PROMETHEUS["global"]["external_labels"]["runbooks"] == "http://127.0.0.1:3000/public/runbooks"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_comes_back(name: str) -> None:
    service = SERVICES[name]

    assert {"mem_limit", "pids_limit"} <= set(service)
    if name in RUN_ONCE:
        assert "restart" not in service
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert "healthcheck" in service or name in OURS  # the image has one
    if name != "kafka":
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_nobody_can_change_what_grafana_shows() -> None:
    environment = SERVICES["grafana"]["environment"]

    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def against_the_specification(file: Path) -> subprocess.CompletedProcess[str]:
    """Check a compose file with the JSON Schema of the Compose specification, which check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_a_compose_file_by_the_specification(tmp_path: Path) -> None:
    done = against_the_specification(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout

    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for right, wrong in (("mem_limit: 1g", "memory_limit: 1g"), ("retries: 12", "retries: [12]")):
        assert right in text
        (tmp_path / "broken.yml").write_text(text.replace(right, wrong), encoding="utf-8")
        assert against_the_specification(tmp_path / "broken.yml").returncode == 1, wrong
