"""Every component over SASL/SCRAM and mutual TLS, with the ACLs that docs/security.md lists, and no others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.kafka_client import Record, Topics, consume_all, create_topics, produce
from tests.kafka_server import KafkaServer, Listener
from tests.worker_process import WorkerProcess, environment, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SECURITY = (Path(__file__).parents[2] / "docs/security.md").read_text("utf-8")
PASSWORD = "a secret of 42 letters that no log may have"
PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefixed": ResourcePatternType.PREFIXED}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem), the broker's keystore (broker.pem) and a client's pair."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    broker = authority.issue_cert("127.0.0.1")
    # Kafka reads keys in PKCS#8 only.
    key = load_pem_private_key(broker.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "broker.pem").write_bytes(pkcs8 + b"".join(part.bytes() for part in broker.cert_chain_pems))
    client = authority.issue_cert("worker.example", common_name="worker")
    client.private_key_pem.write_to_path(folder / "client.key")
    for part in client.cert_chain_pems:
        part.write_to_path(folder / "client.pem", append=True)
    return folder


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[KafkaServer]:
    """A broker that lets nobody do anything without an ACL, but for the tests on its plain listener."""
    server = KafkaServer(
        tmp_path_factory.mktemp("secure-kafka"),
        listeners={"SASL": Listener("SASL_PLAINTEXT"), "TLS": Listener("SSL")},
        properties={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.tls.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates / "ca.pem"),
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/,DEFAULT",
        },
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def documented_acls(component: str, topics: Topics, group: str) -> list[tuple[ResourceType, str, str, str]]:
    """The rows of the component's table in docs/security.md: resource type, name, pattern, operation."""
    section = SECURITY.split(f"### {component}\n", 1)[1].split("\n### ", 1)[0]
    rows = re.findall(r"^\| (\w+) \| `([^`]+)` \| (\w+) \| ([\w, ]+) \|", section, re.M)
    assert rows, f"no ACLs for {component} in docs/security.md"
    names = {f"AJIL_TOPIC_{name.upper()}": getattr(topics, name) for name in topics.__dataclass_fields__}
    names["AJIL_GROUP"] = group
    found = []
    for kind, name, pattern, operations in rows:
        real = re.sub(r"AJIL_[A-Z_]+", lambda match: names[match[0]], name)
        resource = {"Topic": ResourceType.TOPIC, "Group": ResourceType.GROUP}.get(kind, ResourceType.TRANSACTIONAL_ID)
        found += [(resource, real, pattern, operation.strip()) for operation in operations.split(",")]
    return found


def allow(kafka: KafkaServer, user: str, acls: list[tuple[ResourceType, str, str, str]]) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.address})
    bindings = [
        AclBinding(
            resource,
            name,
            PATTERNS[pattern.lower()],
            f"User:{user}",
            "*",
            getattr(AclOperation, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()),
            AclPermissionType.ALLOW,
        )
        for resource, name, pattern, operation in acls
    ]
    for done in admin.create_acls(bindings).values():
        done.result(30)


@pytest.fixture(params=["SASL", "TLS"])
def secured(
    request: pytest.FixtureRequest, secure: KafkaServer, certificates: Path, tmp_path: Path
) -> tuple[str, dict[str, object]]:
    """A user, and the settings it connects with."""
    if request.param == "TLS":
        return "worker", {
            "brokers": secure.addresses["TLS"],
            "security_protocol": "ssl",
            "ssl_ca_file": certificates / "ca.pem",
            "ssl_certificate_file": certificates / "client.pem",
            "ssl_key_file": certificates / "client.key",
        }
    user = f"user-{uuid.uuid4().hex[:6]}"
    admin = AdminClient({"bootstrap.servers": secure.address})
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    change = UserScramCredentialUpsertion(user, credential, PASSWORD.encode())
    for done in admin.alter_user_scram_credentials([change]).values():
        done.result(30)
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    return user, {
        "brokers": secure.addresses["SASL"],
        "security_protocol": "sasl_plaintext",
        "sasl_username": user,
        "sasl_password_file": secret,
    }


def test_a_worker_needs_the_documented_acls_and_no_more(
    secure: KafkaServer, secured: tuple[str, dict[str, object]], tmp_path: Path
) -> None:
    user, settings = secured
    topics = create_topics(secure.address)
    env = environment(secure.address, topics, delivery="exactly_once", **settings)
    for component in ("Worker, classify agent", "Worker, alerts agent", "Worker, feedback agent"):
        allow(secure, user, documented_acls(component, topics, env["AJIL_GROUP"]))
    value = {"id": "1", "title": "BREAKING: Flood warning for the whole valley", "body": "Rivers rise."}
    produce(secure.address, topics.raw, [Record(json.dumps(value).encode()), Record(b"{broken")])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for("alert", lambda: consume_all(secure.address, topics.alerts))
        wait_for("rejection", lambda: consume_all(secure.address, topics.rejected))
        assert len(consume_all(secure.address, topics.enriched)) == 1
        (opened,) = consume_all(secure.address, topics.alerts)
        alert_id = json.loads(opened.value or b"")["alert_id"]
        word = {"alert_id": alert_id, "withdraw": True}
        produce(secure.address, topics.feedback, [Record(json.dumps(word).encode())])
        wait_for("retraction", lambda: len(consume_all(secure.address, topics.alerts)) == 2)
        assert worker.stop() == 0
        assert PASSWORD not in worker.log_path.read_text()


def test_commands_need_the_documented_acls(
    secure: KafkaServer, secured: tuple[str, dict[str, object]], tmp_path: Path
) -> None:
    user, settings = secured
    topics = create_topics(secure.address)
    env = environment(secure.address, topics, **settings)

    def ajil(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "stream.cli", *args]
        return subprocess.run(command, input=stdin, capture_output=True, env=env, timeout=60, check=False)

    refused = ajil("produce", "-", stdin=b'{"title": "A"}\n')
    assert refused.returncode == 4
    assert b"not for this user to see" in refused.stderr
    allow(secure, user, documented_acls("ajil produce", topics, env["AJIL_GROUP"]))
    sent = ajil("produce", "-", stdin=b'{"title": "A"}\n')
    assert sent.returncode == 0, sent.stderr
    allow(secure, user, documented_acls("ajil tail", topics, env["AJIL_GROUP"]))
    seen = ajil("tail", "raw", "--no-follow")
    assert seen.returncode == 0, seen.stderr
    assert len(seen.stdout.splitlines()) == 1
    allow(secure, user, documented_acls("ajil lag", topics, env["AJIL_GROUP"]))
    told = ajil("lag")
    assert told.returncode == 0, told.stderr
    assert b"1 records behind" in told.stdout
    shown = ajil("settings")
    assert PASSWORD.encode() not in shown.stdout


def test_a_wrong_password_is_told(secure: KafkaServer, tmp_path: Path) -> None:
    topics = create_topics(secure.address)
    settings = {"security_protocol": "sasl_plaintext", "sasl_username": "nobody", "sasl_password": PASSWORD}
    env = environment(secure.address, topics, **settings, brokers=secure.addresses["SASL"])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for("a word", lambda: "uthentication failed" in worker.log_path.read_text())
        assert PASSWORD not in worker.log_path.read_text()
        assert worker.stop() == 0
