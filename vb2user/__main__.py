"""``python -m vb2user``."""

from vb2user.cli.main import main

if __name__ == "__main__":
    main()
