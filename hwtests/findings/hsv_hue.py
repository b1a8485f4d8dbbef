"""vivid: hue goes up to 255 where hsv_enc, 0 or 128, says that it goes up to 179."""

import sys

import vb2user

with vb2user.open(sys.argv[1]) as cam:
    encoding = cam.set_format("HSV3", 640, 360).ycbcr_enc  # in a union with hsv_enc
    with cam.stream(timeout=20) as stream:
        hue = int(next(iter(stream)).array[..., 0].max())
print(f"hsv_enc is {encoding}, and the largest hue is {hue}")
sys.exit(not (encoding in (0, 128) and hue > 179))
