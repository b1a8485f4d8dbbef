"""Every way to have memory for frames, as arguments of ``Camera.stream``."""

from __future__ import annotations

from typing import Any

WAYS: dict[str, dict[str, Any]] = {
    "mmap": {"memory": "mmap"},
    "userptr": {"memory": "userptr"},
    "heap": {"memory": "dmabuf", "heap": "system"},
    "udmabuf": {"memory": "dmabuf", "heap": "udmabuf"},
    "export": {"memory": "dmabuf", "heap": "/dev/video1"},
    "read": {"memory": "read"},
}
