"""Stands in for virtme-run and the agent in the guest: ``fake_guest.py SOCKET WAY``."""

import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

HEAD = struct.Struct("<BI")


def send(link: socket.socket, kind: int, payload: bytes = b"") -> None:
    link.sendall(HEAD.pack(kind, len(payload)) + payload)


def receive(link: socket.socket) -> tuple[int, bytes]:
    head = link.recv(HEAD.size, socket.MSG_WAITALL)
    kind, length = HEAD.unpack(head)
    return kind, link.recv(length, socket.MSG_WAITALL) if length else b""


def main() -> None:
    address, way, pids = sys.argv[1:4]
    with Path(pids).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if way == "mute":
        print("virtme-run: no busybox was found", flush=True)
        sys.exit(1)
    print("Linux version 0.0 (fake)", flush=True)
    with Path(f"{pids}.boots").open("a+") as file:
        file.write("x")
        boots = file.tell()
    if way == "panics-at-boot" or (way == "panics-twice-at-boot" and boots < 3):
        print("Kernel panic - not syncing: Fatal exception in interrupt\r\n---[ end", flush=True)
        sys.exit(0)
    if way == "hangs-at-boot":
        if os.fork() == 0:  # as QEMU is virtme-run's child
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with Path(pids).open("a") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(1000)
    link = socket.socket(socket.AF_UNIX)
    link.connect(address)
    send(link, 1, b'{"release": "0.0"}')
    kind, payload = receive(link)
    assert kind == 2
    start = json.loads(payload)
    if way == "refuses":
        send(link, 8, json.dumps({"message": "no module vivid", "hint": "look for one"}).encode())
        time.sleep(1000)
    send(link, 9)
    if way == "panics":
        print("Kernel panic - not syncing: nothing works\r\n---[ end", flush=True)
        sys.exit(0)
    if way == "hangs":
        time.sleep(1000)
    if way == "garbles":
        link.sendall(b"\xff" * 64)
        time.sleep(1000)
    if way == "echoes":
        while True:
            kind, payload = receive(link)
            assert kind == 6
            send(link, 4, payload)
            if not payload:
                break
    if way == "warns":
        send(link, 10, b"kern  :info  : [    0.000000] Linux version 0.0\n")
        send(link, 10, b"kern  :warn  : [    2.500000] WARNING: CPU: 0 PID: 1 at lib/x.c:1 x+0x1/0x2\n")
    if way == "warns-and-hangs":
        send(link, 10, b"kern  :warn  : [    2.500000] BUG: x\n")
        time.sleep(1000)
    if way == "environment":
        send(link, 4, json.dumps(start).encode())
    if way in ("talks", "7", "panics-twice-at-boot"):
        both = b"".join(HEAD.pack(k, 300) + bytes([b]) * 300 for b in range(256) for k in (4, 5))
        for position in range(0, len(both), 7001):  # frames in pieces of any size
            link.sendall(both[position : position + 7001])
    send(link, 7, json.dumps({"status": 7 if way == "7" else 0}).encode())
    time.sleep(1000)


main()
