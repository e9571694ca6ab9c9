"""`python -m toroni`."""

import sys

from toroni.cli import main

if __name__ == "__main__":
    sys.exit(main())
