"""``python -m gpujobs.cli``."""

import sys

from gpujobs.cli import main

sys.exit(main())
