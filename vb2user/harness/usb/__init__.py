"""Beside the layers: emulated USB devices, plugged into the running kernel."""
