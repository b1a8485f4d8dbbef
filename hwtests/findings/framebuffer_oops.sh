#!/bin/sh
# vivid: a device with a framebuffer is a NULL pointer in the kernel at load. In a machine of its own:
#   vb2user vm run --no-vivid -- sh hwtests/findings/framebuffer_oops.sh
modprobe vivid n_devs=1 node_types=0x10001 &
sleep 10
dmesg | grep -A 12 "BUG: \|Oops"
