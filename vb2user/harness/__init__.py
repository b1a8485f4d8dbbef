"""Beside the layers: kernels, virtual machines, vivid, the pytest plugin, doctor, the demonstration."""
