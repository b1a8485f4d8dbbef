"""Clients in a process of their own: ``client.py NAME NODE MEMORY[,MEMORY...] FRAMES [BUFFERS]``."""

from __future__ import annotations

import gc
import sys


def main(name: str, path: str, memories: str, frames: str, buffers: str = "4") -> None:
    """Run one client, with one memory type after the other."""
    if name.startswith("vb2user"):
        from ours import CLIENTS
    else:
        from bare import CLIENTS
    # When the collector runs must not hang on how much was imported, or whether it was compiled first.
    gc.collect()
    gc.freeze()
    for memory in memories.split(","):
        CLIENTS[name](path, memory, int(frames), int(buffers))


if __name__ == "__main__":
    main(*sys.argv[1:])
