"""`ajil worker` with a model of a test's own."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from stream import logs
from stream.classify import load_model
from stream.commands.worker import serve
from stream.settings import load_settings

if TYPE_CHECKING:
    from models.classifier import Classifier


def run(kind: type[Classifier]) -> NoReturn:
    """Serve the bundle of the settings as a `kind`. The command line names the agents."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as `ajil worker` does, until Faust has its own
    settings = load_settings()
    logs.configure(settings)
    model = load_model(settings)
    model.__class__ = kind
    serve(settings, model, tuple(sys.argv[1:]))
