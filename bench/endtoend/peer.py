"""One way as a process: python -m bench.endtoend.peer NAME. The AJIL_* environment says where it reads and writes."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bench.endtoend.frameworks import run_faststream, run_faust, run_quix
from bench.endtoend.loops import run_aiokafka, run_confluent
from bench.endtoend.work import SCORERS, Work
from stream.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

RUN: dict[str, Callable[..., Any]] = {
    "confluent": run_confluent,
    "aiokafka": run_aiokafka,
    "quix": partial(run_quix, batches=False),
    "quix-batches": partial(run_quix, batches=True),
    "faststream": partial(run_faststream, batches=False),
    "faststream-batches": partial(run_faststream, batches=True),
    "faust": partial(run_faust, batches=False),
    "faust-batches": partial(run_faust, batches=True),
}


@click.command()
@click.argument("name", type=click.Choice(list(RUN)))
@click.option("--scorer", type=click.Choice(SCORERS), default="ajil")
@click.option("--single", is_flag=True, help="One article at a time, also where a batch is at hand.")
@click.option("--linger", default=5, help="Milliseconds that the producer waits for company.")
def main(name: str, scorer: str, single: bool, linger: int) -> None:
    """Run until SIGTERM."""
    sys.argv = sys.argv[:1]  # Faust reads them
    settings = load_settings()
    RUN[name](settings, Work(settings, scorer, single=single), linger)


if __name__ == "__main__":
    main()
