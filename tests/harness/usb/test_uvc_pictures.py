"""The pictures of the virtual webcam: known sample by sample, and told from each other."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness.usb.uvc.jpeg import check_jpeg, decode, jpeg, number_in
from vb2user.harness.usb.uvc.pattern import CB, CR, WrongPictureError, check, number_of, picture, tone

NUMBERS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(8, 20).map(lambda n: 16 * n), st.integers(2, 20).map(lambda n: 8 * n))
TONES = st.tuples(st.integers(-64, 64), st.integers(0, 64))


def test_tone() -> None:
    assert tone() == bytes(range(256))
    assert tone(0, 0) == bytes([128]) * 256
    assert list(tone(10, 32)[::50]) == [10, 60, 110, 160, 210, 255]
    assert tone(-64, 32)[:65] == bytes(65)
    assert tone(0, 64)[100] == 128 - 56


@given(NUMBERS, SIZES, TONES)
@settings(max_examples=40, deadline=None)
def test_yuyv(number: int, size: tuple[int, int], values: tuple[int, int]) -> None:
    width, height = size
    brightness, contrast = values
    made = picture(number, width, height, brightness=brightness, contrast=contrast)
    samples = np.frombuffer(made, np.uint8).reshape(height, width, 2)
    y, x = np.indices((height, width))
    expected = np.empty((height, width, 2), np.uint8)
    expected[..., 0] = np.frombuffer(tone(brightness, contrast), np.uint8)[(x + y + number) % 256]
    expected[:, 0::2, 1], expected[:, 1::2, 1] = CB, CR
    expected.reshape(-1)[:4] = np.frombuffer(number.to_bytes(4, "little"), np.uint8)
    assert (samples == expected).all()
    assert number_of(made) == number_of(samples.data) == number
    assert check(samples.data, width, height, brightness=brightness, contrast=contrast) == number


def test_yuyv_that_is_wrong() -> None:
    good = bytearray(picture(7, 160, 120))
    good[2 * (160 * 5 + 3) + 1] ^= 1
    with pytest.raises(WrongPictureError, match=r"frame 7 differs at \(3, 5\)"):
        check(good, 160, 120)
    with pytest.raises(WrongPictureError, match="has 100 bytes, not 38400"):
        check(good[:100], 160, 120)
    with pytest.raises(WrongPictureError, match="no number"):
        number_of(b"abc")
    with pytest.raises(WrongPictureError, match="differs"):
        check(picture(7, 160, 120, brightness=1), 160, 120)


@given(NUMBERS, SIZES, TONES)
@settings(max_examples=40, deadline=None)
def test_jpeg(number: int, size: tuple[int, int], values: tuple[int, int]) -> None:
    pytest.importorskip("av")
    brightness, contrast = values
    made = jpeg(number, *size, brightness=brightness, contrast=contrast)
    assert len(made) < size[0] * size[1] + 1024
    assert check_jpeg(made, *size, brightness=brightness, contrast=contrast) == number


def test_any_decoder_shows_its_colours() -> None:
    av = pytest.importorskip("av")
    (frame,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg(5, 160, 120)))
    assert frame.format.name == "yuvj422p"
    for plane, level in zip(frame.planes[1:], (CB, CR), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:120, :80]
        assert (np.abs(rows.astype(int) - level) <= 1).all()


def test_jpeg_that_is_wrong() -> None:
    pytest.importorskip("av")
    made = jpeg(9, 160, 120)
    with pytest.raises(WrongPictureError, match="differs"):
        check_jpeg(jpeg(9, 160, 120, brightness=10), 160, 120)
    with pytest.raises(WrongPictureError, match="160x120, not 320x240"):
        check_jpeg(made, 320, 240)
    with pytest.raises(WrongPictureError, match="not a JPEG"):
        check_jpeg(b"\xff\xd8 nothing of the kind", 160, 120)
    with pytest.raises(WrongPictureError, match="not a JPEG"):
        check_jpeg(b"", 160, 120)
    assert number_in(decode(made)) == 9


def test_every_picture_of_the_default_sizes_is_another() -> None:
    for width, height in ((160, 120), (640, 480)):
        assert len({picture(n, width, height) for n in range(300)}) == 300
        assert len({jpeg(n, width, height) for n in range(300)}) == 300


def test_the_number_of_an_mjpg_picture_is_above_the_ramp() -> None:
    pytest.importorskip("av")
    luma = decode(jpeg(0xFFFF0000, 160, 120))
    assert (luma[:8, :128] > 250).all()
    assert (luma[8:16, :128] < 5).all()
    assert (abs(luma[:16, 128:].astype(int) - 128) <= 1).all()


def test_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPrerequisiteError, match=r"vb2user\[media\]"):
        decode(jpeg(1, 160, 120))
