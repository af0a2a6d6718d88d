"""`ajil settings`."""

from __future__ import annotations

import click

from stream.settings import Settings, load_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def command(as_json: bool) -> None:
    """Print the settings in force; secrets are masked.

    A setting NAME is read from AJIL_NAME (upper case), else from the TOML file that AJIL_CONFIG names, else it has
    its default. A star marks what is not the default.
    """
    import msgspec

    settings = load_settings()
    values = msgspec.to_builtins(settings.masked(), enc_hook=str)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(values)).decode())
        return
    defaults = msgspec.to_builtins(Settings().masked(), enc_hook=str)
    from models.scorer import NATIVE

    width = max(map(len, values))
    for name, value in values.items():
        star = " " if value == defaults[name] else "*"
        click.echo(f"{star} {name:<{width}}  {'' if value is None else value}")
    way = "the compiled kernel" if NATIVE else "Python and numpy: the kernel was not compiled"
    click.echo(f"\nLanguage, topic and alert style are told by {way}.")
