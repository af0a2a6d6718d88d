"""The import rule: who may know whom. Models stay free of Kafka, the core free of Faust, all free of cycles."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the top to the bottom; a module of `stream` imports only from the lines below its own.
LAYERS = [
    {"cli"},
    {"commands"},
    {"app", "demo", "gateway"},
    {"health", "demo", "show", "exposition"},
    {"gateway"},
    {"contract"},
    {"source", "alerts", "classify", "corrections", "feedback"},
    {"transport"},
    {"reader"},
    {"assignment", "publisher", "backlog", "clients"},
    {"gaps"},
    {"patience", "progress", "topics", "lag", "feed", "sender", "replay", "stories", "decode", "show", "tracing"},
    {"kafka", "metrics", "pages", "embedded", "terminal", "logs", "caution"},
    {"agents", "answers", "drift"},
    {"records", "catalogue"},
    {"settings"},
    {"errors"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Whoever reads an article's language, topic or words, or what is usual; the app is given its model by the command.
MAY_IMPORT_MODELS = {"classify", "drift", "stories", "commands", "gateway"}
MAY_IMPORT_FAUST = {"stream.app", "stream.source", "stream.commands.worker"}
# These are services of the app, and no more than that.
MAY_IMPORT_MODE = MAY_IMPORT_FAUST | {"stream.corrections", "stream.health"}
# models/plots.py draws for `make eval`, models/langid.py is for `make exact`: both need the development tools.
DEVELOPMENT = {"matplotlib", "py3langid"}
# Of the extra otel, which a process imports when it has an endpoint for traces.
EXTRA = {"stream.tracing.otel": "opentelemetry"}
KAFKA_CLIENTS = {"confluent_kafka", "aiokafka"}


def imported(source: str) -> set[str]:
    """Every module that a source text imports, at its top or inside a function, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            assert node.module
            # `from stream import kafka` imports a module, `from stream.kafka import explain` a name of one.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def violations(module: str, source: str) -> list[str]:
    """What a module imports against the rule, one sentence each."""
    told = []
    package, _, rest = module.partition(".")
    own = rest.partition(".")[0]
    for name in sorted(imported(source)):
        top, _, path = name.partition(".")
        part = path.partition(".")[0]
        if package == "models" and top in {"stream", "faust", "mode"} | KAFKA_CLIENTS:
            told.append(f"{module} imports {name}: models know nothing of the stream")
        if package == "stream" and top == "models" and own not in MAY_IMPORT_MODELS:
            told.append(f"{module} imports {name}: only {', '.join(sorted(MAY_IMPORT_MODELS))} know models")
        if top == "faust" and module not in MAY_IMPORT_FAUST:
            told.append(f"{module} imports {name}: only {', '.join(sorted(MAY_IMPORT_FAUST))} know Faust")
        if top == "opentelemetry" and module not in EXTRA:
            told.append(f"{module} imports {name}: only {', '.join(EXTRA)} knows OpenTelemetry, which may be missing")
        if top == "mode" and module not in MAY_IMPORT_MODE:
            told.append(f"{module} imports {name}: only {', '.join(sorted(MAY_IMPORT_MODE))} know mode")
        if package == "stream" and top == "stream" and part != own and LEVEL.get(part, 99) <= LEVEL.get(own, -1):
            told.append(f"{module} imports {name}: {part} is not below {own}")
    return told


def modules() -> list[str]:
    paths = [path for package in ("stream", "models") for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def source_of(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


@pytest.mark.parametrize("module", modules())
def test_module_keeps_the_rule(module: str) -> None:
    assert violations(module, source_of(module)) == []


def test_every_module_of_the_stream_has_its_layer() -> None:
    present = {module.split(".")[1] for module in modules() if module.startswith("stream.")}

    assert present <= set(LEVEL), f"add to LAYERS: {present - set(LEVEL)}"


def test_every_package_that_is_imported_is_installed_with_ajil() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.M))
    tops = {name.partition(".")[0] for module in modules() for name in imported(source_of(module))}
    foreign = tops - sys.stdlib_module_names - {"stream", "models"} - DEVELOPMENT - set(EXTRA.values())
    distributions = packages_distributions()

    missing = {
        top for top in foreign if not {re.sub(r"[._]", "-", name).lower() for name in distributions[top]} & locked
    }

    assert not missing, f"not in requirements.lock: {sorted(missing)}; add to pyproject.toml, then make lock"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.text", "from stream.records import RawArticle"),
        ("models.text", "def late():\n    import stream.errors"),
        ("models.text", "import confluent_kafka"),
        ("stream.records", "from stream import app"),
        ("stream.records", "import stream.source"),
        ("stream.kafka", "from stream.metrics import Metrics"),
        ("stream.classify", "from faust import App"),
        ("stream.transport", "from mode import Service"),
        ("stream.commands.tail", "import faust"),
        ("stream.health", "import faust"),
        ("stream.tracing", "from opentelemetry.trace import Span"),
        ("stream.app", "from models.classifier import Classifier"),
    ],
)
def test_the_rule_is_seen_to_be_broken(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "stream.commands.worker",
            "import faust\nfrom models.classifier import Classifier\nfrom stream.app import App",
        ),
        ("stream.health", "from mode import Service\nfrom stream.source import Source"),
        ("stream.records", "from stream.errors import Rejection\nimport json"),
        ("stream.commands.tail", "from stream.commands.produce import command"),
        ("models.train", "from models.text import words\nimport sklearn"),
    ],
)
def test_the_rule_lets_the_rest_through(module: str, source: str) -> None:
    assert violations(module, source) == []
