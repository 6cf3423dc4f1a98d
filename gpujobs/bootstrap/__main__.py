"""`python -m gpujobs.bootstrap`, for a machine that has the package and not the program."""

from gpujobs.bootstrap._cli import app

app(prog_name="gpujobs bootstrap")
