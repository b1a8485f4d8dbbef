"""Layer 5: frames for people: streams, leases, outputs."""
