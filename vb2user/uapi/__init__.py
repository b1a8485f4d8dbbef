"""Layer 1: what the kernel says: structs, numbers, and one typed function per ioctl."""
