"""Layer 2: the bytes of a frame as arrays, channels, colours and encoded pictures. Knows no devices."""
