"""Beside the layers: an emulated webcam."""
