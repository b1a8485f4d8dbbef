"""vivid: G_PARM of the output tells that the interval can be set, and S_PARM is ENOTTY. DEV: an output."""

import errno
import sys

import vb2user
from vb2user.uapi import calls

with vb2user.open(sys.argv[1]) as out:
    parm = calls.g_parm(out.node, out.type)
    try:
        calls.s_parm(out.node, out.type, parm.timeperframe)
        came = "done"
    except vb2user.KernelError as error:
        came = errno.errorcode[error.errno or 0]
print(f"G_PARM tells can_set {parm.can_set}, and S_PARM of the same interval says {came}")
sys.exit(not (parm.can_set and came == "ENOTTY"))
