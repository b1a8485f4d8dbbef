"""Beside the layers: exercise a device by each memory type, and judge the results."""
