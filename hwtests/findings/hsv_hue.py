"""vivid: once an R'G'B' format was set, hue goes up to 255, and hsv_enc does not say so."""

import sys

import vb2user

with vb2user.open(sys.argv[1]) as cam:
    cam.set_format("RGB3", 640, 360)
    encoding = cam.set_format("HSV3", 640, 360).ycbcr_enc  # in a union with hsv_enc
    with cam.stream(timeout=20) as stream:
        hue = int(next(iter(stream)).array[..., 0].max())
print(f"hsv_enc is {encoding:d}, and the largest hue is {hue}")
sys.exit(not (encoding != 129 and hue > 179))
