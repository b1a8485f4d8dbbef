"""Beside the layers: virtual machines with stock kernels, and the agent inside."""
