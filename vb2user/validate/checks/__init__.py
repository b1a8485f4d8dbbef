"""The checks themselves, a file for each subject; each is found by its decorator."""
