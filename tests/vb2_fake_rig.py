"""The fake videobuf2 for the requests of :mod:`vb2_answers`."""

from __future__ import annotations

from fakes_vb2 import FakeVideo, Vb2System
from vb2_case import KINDS
from vb2_requests import Rig

from vb2user.uapi.enums import BufType


def fake_rig(system: Vb2System, kind: str) -> Rig:
    """A node with such a queue, and one that exports, under this kernel."""
    type = KINDS[kind]
    code = "NM12" if kind == "mplane" else "YUYV"
    exporter_type = BufType.VIDEO_CAPTURE if kind == "output" else type
    node, exporter = (FakeVideo(system, t, pixelformat=code) for t in (type, exporter_type))
    node.contig = exporter.contig = kind == "contig"
    system.nodes |= {"/dev/video0": node, "/dev/video1": exporter}

    def break_queue(_: object) -> None:
        node.broken = True

    return Rig("/dev/video0", type, "/dev/video1", exporter_type, break_queue)
