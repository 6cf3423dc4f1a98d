"""What runs where Slurm is: in this process for the ``cli`` transport, on the login node for ``ssh``.

These files are sent to the login node as they are (annotations stripped), so they use the standard library only and no
syntax newer than Python 3.6. Everything they take and give is JSON, plus bytes.
"""
