"""Layer 6: video files of a stream's frames, and contact sheets."""
