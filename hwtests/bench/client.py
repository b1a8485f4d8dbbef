"""Clients in a process of their own.

``client.py NAME NODE MEMORY[,MEMORY...] FRAMES BUFFERS``, or for the libraries of other people
``client.py NAME NODE WIDTHxHEIGHT FRAMES``.
"""

from __future__ import annotations

import gc
import sys


def main(name: str, path: str, memories: str, frames: str, buffers: str) -> None:
    """Run one of our clients, with one memory type after the other."""
    if name.startswith("vb2user"):
        from ours import CLIENTS
    else:
        from bare import CLIENTS
    # When the collector runs must not hang on how much was imported, or whether it was compiled first.
    gc.collect()
    gc.freeze()
    for memory in memories.split(","):
        CLIENTS[name](path, memory, int(frames), int(buffers))


def peer(name: str, path: str, size: str, frames: str) -> None:
    """Run one of the others."""
    from peers import CLIENTS

    width, height = map(int, size.split("x"))
    CLIENTS[name](path, width, height, int(frames))


if __name__ == "__main__":
    (peer if len(sys.argv) == 5 else main)(*sys.argv[1:])
