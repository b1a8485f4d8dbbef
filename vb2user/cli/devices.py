"""Layer 8: ``vb2user devices``: list the video nodes."""

from __future__ import annotations

from typing import Any

import click

from vb2user.cli.output import NOTHING_HERE, document, json_option, say, table, talk
from vb2user.device.discovery import NodeInfo


@click.command()
@click.option("--watch", is_flag=True, help="Go on, and say what comes and goes, until interrupted.")
@json_option
def devices(watch: bool, as_json: bool) -> None:
    """List every V4L2 node with its driver and its uses.

    With --watch --json each change is one line of JSON.
    """
    from vb2user.device import discovery

    if watch:
        _watch(as_json)
        return
    nodes = discovery.devices()
    if as_json:
        document({"devices": [to_json(n) for n in nodes]})
        return
    if not nodes:
        talk(NOTHING_HERE)
        return
    rows = [(n.path, _name(n), n.driver or "", _bus(n), _what(n), _link(n)) for n in nodes]
    table("", ("node", "name", "driver", "bus", "what for", "stable name"), rows)


def _name(node: NodeInfo) -> str:
    """Return the card's name, and the node's if it differs.

    Instances of a driver may have the same card name.
    """
    card = node.capability.card if node.capability else ""
    return " / ".join(dict.fromkeys(name for name in (card, node.name) if name))


def _bus(node: NodeInfo) -> str:
    return node.capability.bus_info if node.capability else ""


def _what(node: NodeInfo) -> str:
    return node.error or ", ".join(node.roles)


def _link(node: NodeInfo) -> str:
    return next((link for link in node.links if "/by-id/" in link), node.links[0] if node.links else "")


def to_json(node: NodeInfo) -> dict[str, Any]:
    """Return a node for ``devices --json``."""
    cap = node.capability
    return {
        "path": node.path,
        "name": node.name,
        "driver": node.driver,
        "card": cap.card if cap else None,
        "bus_info": cap.bus_info if cap else None,
        "roles": list(node.roles),
        "links": list(node.links),
        "error": node.error,
    }


def _watch(as_json: bool) -> None:
    from vb2user.device.discovery import watch

    for action, path in watch():
        if as_json:
            document({"action": action, "path": path}, line=True)
        else:
            say(f"{action:8} {path}")
