"""The `ajil` command. Each subcommand is a module of `stream.commands`, imported when it is asked for.

Exit codes: 0 done; 1 done, and something was found wrong; 2 a setting, option or file is wrong; 3 Kafka cannot be
reached or refused; 4 a topic is missing; 5 a model bundle was refused; 6 stopped before the batch in hand was done.
"""

from __future__ import annotations

import importlib
import sys

import click

from stream.errors import EXIT_BUNDLE, AjilError
from stream.settings import unknown_names

__all__ = ["main"]

COMMANDS = {
    "demo": "Watch Ajil work: an embedded broker, a worker and articles to feed it.",
    "worker": "Run the agents: raw articles in, enriched records, rejections and alerts out.",
    "gateway": "Serve HTTP: articles in, alerts, stories and the live page out.",
    "subscriptions": "Check the subscriptions file, or deliver again what a destination did not take.",
    "classify": "Classify articles from a file or standard input, without Kafka.",
    "stories": "File articles from a file or standard input under stories, without Kafka.",
    "produce": "Send articles from files or standard input to the raw topic.",
    "feed": "Read RSS and Atom feeds and send their entries to the raw topic.",
    "tail": "Print what comes onto a topic.",
    "replay": "Send rejected records back to the topic they came from.",
    "lag": "Show how far the agents are behind.",
    "topics": "Show the topics Ajil needs, or create them.",
    "train": "Train a model bundle from labelled articles.",
    "evaluate": "Measure a model bundle on labelled articles.",
    "furniture": "Learn the lines that the pages of one source share.",
    "settings": "Print the settings in force.",
}


class _Commands(click.Group):
    """Lists every command at once, imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"stream.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ajil")
def group() -> None:
    """Ajil classifies news as it streams through Kafka and tells what is breaking.

    Settings come from AJIL_* environment variables over the TOML file that AJIL_CONFIG names; `ajil settings` prints
    them. Exit codes: 0 done, 1 found something wrong, 2 bad setting, option or file, 3 Kafka unreachable,
    4 topic missing, 5 model bundle refused, 6 stopped before the batch in hand was done.
    """
    for told in unknown_names():
        click.echo(f"ajil: warning: {told}", err=True)


def main() -> None:
    """Entry point: errors that a person can act on end in one line on stderr and an exit code."""
    try:
        code = group.main(prog_name="ajil", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except AjilError as error:
        click.echo(f"ajil: {error}", err=True)
        code = error.exit_code
    except Exception as error:
        # models/ knows nothing of stream/, so its one error is met by name; importing it would import numpy.
        if type(error).__name__ != "BundleError":
            raise
        click.echo(f"ajil: {error}", err=True)
        code = EXIT_BUNDLE
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
