"""Layer 1: tuners, modulators and frequencies, one typed function per ioctl.

Frequencies are in units of 62.5 kHz; of 62.5 Hz where the tuner has ``TunerCap.LOW``, and of 1 Hz where it
has ``TunerCap._1HZ``: :func:`unit_hz` tells.

Source: https://docs.kernel.org/userspace-api/media/v4l/tuner.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls._util import enumerate_all
from vb2user.uapi.enums import BandModulation, TunerCap, TunerMode, TunerSub, TunerType
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class Tuner:
    """``struct v4l2_tuner``.

    Attributes:
        index: of the tuner.
        name: the driver's.
        type: radio, television or SDR.
        capability: ``V4L2_TUNER_CAP_*``.
        rangelow: lowest frequency, in units of the tuner.
        rangehigh: highest frequency, likewise.
        rxsubchans: the audio that the signal carries, as far as known.
        audmode: the audio that was chosen.
        signal: its strength, from 0 to 65535.
        afc: below 0 the frequency is too low, above 0 too high.
    """

    index: int
    name: str
    type: TunerType
    capability: TunerCap
    rangelow: int
    rangehigh: int
    rxsubchans: TunerSub
    audmode: TunerMode
    signal: int
    afc: int


@dataclass(frozen=True)
class Modulator:
    """``struct v4l2_modulator``; ``txsubchans`` is the audio that is sent. Else as :class:`Tuner`."""

    index: int
    name: str
    type: TunerType
    capability: TunerCap
    rangelow: int
    rangehigh: int
    txsubchans: TunerSub


@dataclass(frozen=True)
class FrequencyBand:
    """``struct v4l2_frequency_band``: a range that a tuner or modulator does, in units of its capability."""

    index: int
    type: TunerType
    capability: TunerCap
    rangelow: int
    rangehigh: int
    modulation: BandModulation


def unit_hz(capability: TunerCap) -> Fraction:
    """Hertz per unit of frequency of a tuner, modulator or band."""
    if capability & TunerCap._1HZ:
        return Fraction(1)
    return Fraction(125, 2) if capability & TunerCap.LOW else Fraction(62500)


def g_tuner(fd: Fd, index: int = 0) -> Tuner:
    """``VIDIOC_G_TUNER``. EINVAL: no such tuner; ENOTTY: the driver has none."""
    index = checks.u32(index, "index")
    arg = v.v4l2_tuner()
    arg.index = index
    fd.ioctl(v.VIDIOC_G_TUNER, "VIDIOC_G_TUNER", arg)
    return Tuner(
        arg.index,
        v.text(arg.name),
        TunerType(arg.type),
        TunerCap(arg.capability),
        arg.rangelow,
        arg.rangehigh,
        TunerSub(arg.rxsubchans),
        TunerMode(arg.audmode),
        arg.signal,
        arg.afc,
    )


def s_tuner(fd: Fd, audmode: TunerMode, index: int = 0, type: TunerType = TunerType.ANALOG_TV) -> None:
    """``VIDIOC_S_TUNER``: choose the audio; the driver may take another, which g_tuner() tells.

    EINVAL: no such tuner, or it is of another type; EBUSY: a seek is in progress.
    """
    index = checks.u32(index, "index")
    arg = v.v4l2_tuner()
    arg.index, arg.type, arg.audmode = index, type, audmode
    fd.ioctl(v.VIDIOC_S_TUNER, "VIDIOC_S_TUNER", arg)


def g_modulator(fd: Fd, index: int = 0) -> Modulator:
    """``VIDIOC_G_MODULATOR``. EINVAL: no such modulator; ENOTTY: the driver has none."""
    index = checks.u32(index, "index")
    arg = v.v4l2_modulator()
    arg.index = index
    fd.ioctl(v.VIDIOC_G_MODULATOR, "VIDIOC_G_MODULATOR", arg)
    return Modulator(
        arg.index,
        v.text(arg.name),
        TunerType(arg.type),
        TunerCap(arg.capability),
        arg.rangelow,
        arg.rangehigh,
        TunerSub(arg.txsubchans),
    )


def s_modulator(fd: Fd, txsubchans: TunerSub, index: int = 0) -> None:
    """``VIDIOC_S_MODULATOR``: choose the audio that is sent; g_modulator() tells what was taken.

    EINVAL: no such modulator.
    """
    index = checks.u32(index, "index")
    arg = v.v4l2_modulator()
    arg.index, arg.txsubchans = index, txsubchans
    fd.ioctl(v.VIDIOC_S_MODULATOR, "VIDIOC_S_MODULATOR", arg)


def g_frequency(fd: Fd, tuner: int = 0) -> int:
    """``VIDIOC_G_FREQUENCY``, in units of the tuner or modulator. EINVAL: there is no such one; ENOTTY."""
    tuner = checks.u32(tuner, "tuner")
    arg = v.v4l2_frequency()
    arg.tuner = tuner
    fd.ioctl(v.VIDIOC_G_FREQUENCY, "VIDIOC_G_FREQUENCY", arg)
    return int(arg.frequency)


def s_frequency(fd: Fd, frequency: int, type: TunerType, tuner: int = 0) -> None:
    """``VIDIOC_S_FREQUENCY``; the driver moves it to the nearest it can do, which g_frequency() tells.

    EINVAL: no such tuner or modulator, or it is of another type; EBUSY: a seek is in progress.
    """
    frequency = checks.u32(frequency, "frequency")
    tuner = checks.u32(tuner, "tuner")
    arg = v.v4l2_frequency()
    arg.tuner, arg.type, arg.frequency = tuner, type, frequency
    fd.ioctl(v.VIDIOC_S_FREQUENCY, "VIDIOC_S_FREQUENCY", arg)


def enum_freq_bands(fd: Fd, type: TunerType, tuner: int = 0) -> Iterator[FrequencyBand]:
    """``VIDIOC_ENUM_FREQ_BANDS``, all of a tuner or modulator; none where there is no such one."""
    tuner = checks.u32(tuner, "tuner")
    arg = v.v4l2_frequency_band()
    arg.tuner, arg.type = tuner, type
    for raw in enumerate_all(fd, v.VIDIOC_ENUM_FREQ_BANDS, "VIDIOC_ENUM_FREQ_BANDS", arg):
        yield FrequencyBand(
            raw.index,
            TunerType(raw.type),
            TunerCap(raw.capability),
            raw.rangelow,
            raw.rangehigh,
            BandModulation(raw.modulation),
        )


def s_hw_freq_seek(
    fd: Fd,
    type: TunerType,
    tuner: int = 0,
    *,
    upward: bool = True,
    wrap_around: bool = False,
    spacing: int = 0,
    rangelow: int = 0,
    rangehigh: int = 0,
) -> None:
    """``VIDIOC_S_HW_FREQ_SEEK``: look for the next station, until it is found; g_frequency() tells it.

    Args:
        fd: the node, opened to block.
        type: of the tuner.
        tuner: its index.
        upward: towards higher frequencies.
        wrap_around: go on at the other end.
        spacing: Hertz from station to station; 0: the driver's own.
        rangelow: where to begin, in units of the tuner; 0: at the band's end. A driver may widen it.
        rangehigh: where to end, likewise.

    EAGAIN: the node was opened O_NONBLOCK; ENODATA: no station found. EINVAL: no such tuner, a wrong type, or
    a seek that it does not support; EBUSY: another seek is in progress.
    """
    tuner = checks.u32(tuner, "tuner")
    spacing = checks.u32(spacing, "spacing")
    rangelow = checks.u32(rangelow, "rangelow")
    rangehigh = checks.u32(rangehigh, "rangehigh")
    arg = v.v4l2_hw_freq_seek()
    arg.tuner, arg.type, arg.seek_upward, arg.wrap_around = tuner, type, upward, wrap_around
    arg.spacing, arg.rangelow, arg.rangehigh = spacing, rangelow, rangehigh
    fd.ioctl(v.VIDIOC_S_HW_FREQ_SEEK, "VIDIOC_S_HW_FREQ_SEEK", arg)
