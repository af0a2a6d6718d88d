"""docker-compose.yml and the image agree with the code: no engine is needed to see that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from stream.cli import group
from stream.settings import SECRETS, environment_names, load_settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
OURS = [name for name, service in SERVICES.items() if "build" in service]


def test_it_has_kafka_its_topics_and_a_worker() -> None:
    assert set(SERVICES) == {"kafka", "topics", "worker"}
    assert OURS == ["topics", "worker"]


@pytest.mark.parametrize("name", OURS)
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
    assert load_settings(environment).brokers == "kafka:19092"


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
    written = {key for key, value in SERVICES[name]["environment"].items() if value}

    assert not written & secrets
    assert not [key for key in written if re.search("PASSWORD|SECRET|TOKEN|JAAS", key)]


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
