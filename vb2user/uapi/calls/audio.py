"""Layer 1: the audio inputs and outputs of a video node, one typed function per ioctl.

Only which one is chosen is V4L2's; the sound itself is ALSA's.

Source: https://docs.kernel.org/userspace-api/media/v4l/audio.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls._util import enumerate_all
from vb2user.uapi.enums import AudioCap, AudioMode
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class AudioInput:
    """``struct v4l2_audio``."""

    index: int
    name: str
    capability: AudioCap
    mode: AudioMode


@dataclass(frozen=True)
class AudioOutput:
    """``struct v4l2_audioout``; the kernel knows no capabilities and modes of it yet."""

    index: int
    name: str


def _input(raw: Any) -> AudioInput:
    return AudioInput(raw.index, v.text(raw.name), AudioCap(raw.capability), AudioMode(raw.mode))


def enumaudio(fd: Fd) -> Iterator[AudioInput]:
    """``VIDIOC_ENUMAUDIO``, all of them; none where the driver has no audio inputs."""
    for raw in enumerate_all(fd, v.VIDIOC_ENUMAUDIO, "VIDIOC_ENUMAUDIO", v.v4l2_audio()):
        yield _input(raw)


def g_audio(fd: Fd) -> AudioInput:
    """``VIDIOC_G_AUDIO``: the one chosen. EINVAL: none goes with the present input; ENOTTY: none at all."""
    arg = v.v4l2_audio()
    fd.ioctl(v.VIDIOC_G_AUDIO, "VIDIOC_G_AUDIO", arg)
    return _input(arg)


def s_audio(fd: Fd, index: int, mode: AudioMode | int = 0) -> None:
    """``VIDIOC_S_AUDIO``. EINVAL: no such input, or not one of the present video input."""
    index = checks.u32(index, "index")
    mode = checks.u32(mode, "mode")
    arg = v.v4l2_audio()
    arg.index, arg.mode = index, mode
    fd.ioctl(v.VIDIOC_S_AUDIO, "VIDIOC_S_AUDIO", arg)


def enumaudout(fd: Fd) -> Iterator[AudioOutput]:
    """``VIDIOC_ENUMAUDOUT``, all of them; none where the driver has no audio outputs."""
    for raw in enumerate_all(fd, v.VIDIOC_ENUMAUDOUT, "VIDIOC_ENUMAUDOUT", v.v4l2_audioout()):
        yield AudioOutput(raw.index, v.text(raw.name))


def g_audout(fd: Fd) -> AudioOutput:
    """``VIDIOC_G_AUDOUT``: the one chosen. EINVAL: none goes with the present output; ENOTTY: none at all."""
    arg = v.v4l2_audioout()
    fd.ioctl(v.VIDIOC_G_AUDOUT, "VIDIOC_G_AUDOUT", arg)
    return AudioOutput(arg.index, v.text(arg.name))


def s_audout(fd: Fd, index: int) -> None:
    """``VIDIOC_S_AUDOUT``. EINVAL: no such output, or not one of the present video output."""
    index = checks.u32(index, "index")
    arg = v.v4l2_audioout()
    arg.index = index
    fd.ioctl(v.VIDIOC_S_AUDOUT, "VIDIOC_S_AUDOUT", arg)
