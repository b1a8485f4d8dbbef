"""Layer 6: the command ``vb2user``."""
