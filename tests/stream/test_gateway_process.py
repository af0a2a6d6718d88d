"""`ajil gateway` as a process: what it refuses to start with, TLS, how it ends."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
import trustme

from stream.embedded import EmbeddedBroker
from stream.settings import Settings
from stream.topics import needed
from tests.gateway_process import GatewayProcess
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AJIL_")}
    with EmbeddedBroker([topic.name for topic in needed(Settings())]) as broker:
        yield clean | {"AJIL_BROKERS": broker.brokers}


def refused(environment: dict[str, str], **settings: str) -> str:
    told = {f"AJIL_GATEWAY_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "stream.cli", "gateway"]
    done = subprocess.run(command, env=environment | told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_refuses_to_let_strangers_write(environment: dict[str, str]) -> None:
    assert "AJIL_GATEWAY_TOKENS_FILE" in refused(environment, host="0.0.0.0")


def test_a_certificate_that_is_none_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("not a certificate")
    told = refused(environment, certificate_file=str(file), key_file=str(file))
    assert "AJIL_GATEWAY_KEY_FILE) are no certificate and its key" in told
    assert "go together" in refused(environment, certificate_file=str(file))


def test_a_port_that_is_taken_is_told_and_a_stop_is_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, environment) as gateway:
        gateway.wait_reading()
        assert f"cannot listen on 127.0.0.1:{gateway.port}" in refused(environment, port=str(gateway.port))
        wait_for("ready", lambda: status(f"{gateway.url}/readyz") == 200)
        assert gateway.stop() == 0


def test_it_serves_tls(environment: dict[str, str], tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    files = {"AJIL_GATEWAY_CERTIFICATE_FILE": str(chain), "AJIL_GATEWAY_KEY_FILE": str(key)}
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with GatewayProcess(tmp_path, environment | files) as gateway:
        gateway.wait_serving()
        with urllib.request.urlopen(f"https://127.0.0.1:{gateway.port}/healthz", context=context) as answer:
            assert answer.headers["Strict-Transport-Security"]
