"""vivid: write(2) of a whole frame fails with EINVAL. DEV: an output node."""

import os
import sys

import vb2user

with vb2user.open(sys.argv[1]) as out:
    size = out.get_format().sizeimage
fd = os.open(sys.argv[1], os.O_RDWR)
try:
    print(f"write(2) took {os.write(fd, bytes(size))} of {size} bytes")
except OSError as error:
    print(f"write(2) of {size} bytes: {error}")
    sys.exit(0)
finally:
    os.close(fd)
sys.exit(1)
