"""Beside the layers: a webcam that is a program."""
