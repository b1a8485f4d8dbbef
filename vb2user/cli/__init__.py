"""Layer 8: the command ``vb2user``."""
