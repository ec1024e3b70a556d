"""`python -m farthing`: the command line."""

from farthing.cli import main

if __name__ == "__main__":
    main()
