"""Stands in for the agent, with the real agent in it: ``real_guest.py SOCKET PIDS``."""

import os
import socket
import sys
from pathlib import Path

from vb2user.harness.vm import agent

address, pids = sys.argv[1:3]
with Path(pids).open("a") as file:
    file.write(f"{os.getpid()}\n")
print("Linux version 0.0 (the real agent)", flush=True)
link = socket.socket(socket.AF_UNIX)
link.connect(address)
# File systems, udev and drivers are a guest's affair, not this machine's.
agent.prepare = lambda *_: None
inside = agent.Agent(link.fileno(), "/no/such/file")
inside.run()
inside.await_end()
