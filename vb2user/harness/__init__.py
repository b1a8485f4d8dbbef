"""Beside the layers: kernels, virtual machines, vivid, the pytest plugin, doctor, the demonstration."""

#: What ``--kernel`` takes by default; here, so that the command line's help need not import what fetches it.
DEFAULT_KERNEL = "6.12"
