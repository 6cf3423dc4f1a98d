"""`python -m gpujobs.bootstrap`, for a machine that has the package and not the program."""

import sys

from gpujobs.cli import main

sys.exit(main(["bootstrap", *sys.argv[1:]]))
