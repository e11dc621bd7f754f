"""`python -m amictl`."""

from amictl.cli.main import main

if __name__ == "__main__":
    main()
