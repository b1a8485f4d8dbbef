"""Beside the layers: the content of known devices' frames."""
