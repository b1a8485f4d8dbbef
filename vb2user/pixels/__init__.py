"""Layer 2: the bytes of a frame as arrays, channels, colours and encoded pictures. It knows no devices."""
