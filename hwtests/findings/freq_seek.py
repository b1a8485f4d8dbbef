"""vivid: S_HW_FREQ_SEEK succeeds and leaves the frequency as it was. DEV: a radio receiver."""

import sys

from vb2user.uapi.calls import tuner
from vb2user.uapi.enums import TunerType
from vb2user.uapi.kernel import open_node

with open_node(sys.argv[1], nonblock=False) as node:
    before = tuner.g_frequency(node)
    tuner.s_hw_freq_seek(node, TunerType.RADIO, upward=True)
    after = tuner.g_frequency(node)
print(f"the frequency was {before} before the seek, and is {after} after it")
sys.exit(before != after)
