"""`python -m cann_simulator`: the same as the command `cann-simulator`."""

import sys

from cann_simulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
