"""Beside the layers: what frames of known devices hold."""
