"""sur40: each frame is flagged ERROR and not written. Run: vb2user harness sur40 -- python THIS."""

import os

import vb2user
from vb2user.uapi.enums import BufFlag

with vb2user.open(os.environ["VB2USER_SUR40"]) as cam, cam.stream(timeout=20, count=3) as stream:
    told = [(BufFlag.ERROR in frame.flags, bool(frame.array.any())) for frame in stream]
print(f"(flagged, written) of three frames: {told}")
raise SystemExit(told != [(True, False)] * 3)
