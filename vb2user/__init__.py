"""vb2user: the kernel's ``struct vb2_mem_ops``, made visible and usable from Python, on real devices."""

__version__ = "0.1.0.dev0"
