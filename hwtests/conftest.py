"""Tests against a real kernel; as root, e.g. ``vb2user vm run --kernel 6.12 -- pytest hwtests``."""
