"""`orastream mapping`: prints what a NATS server needs so that several nodes share the load of one front door."""

from __future__ import annotations

from typing import Annotated

import typer

from orastream.cli import options, terminal
from orastream.cli.node.settings import CliSettings
from orastream.contract.errors import SettingsError
from orastream.contract.front_door import mapping_conf
from orastream.contract.names import Names
from orastream.service.settings import load


def mapping(
    nodes: Annotated[int, typer.Option(help="Number of nodes: their prefixes are <front>.0, <front>.1 …")],
    prefix: options.Prefix = None,
) -> None:
    """Print the subject mapping of a front door, for the configuration of nats-server: each session goes to one node.

    It stands at the top of the file, or in the account of the node. `--prefix` is the name of the front. All servers
    of a cluster need the same. docs/guide/scale.md has the steps.
    """
    try:
        front = load(CliSettings).tts_prefix if prefix is None else prefix
        print(mapping_conf(Names(front), nodes), end="")
    except SettingsError as exc:
        terminal.fail(str(exc))
    except ValueError as exc:
        terminal.fail(f"--nodes or --prefix: {exc}")
