"""Measure what gpujobs adds to the bare Kubernetes client, and to others: see docs/benchmarks.md."""

import sys

if __name__ == "__main__":
    # As a script its folder comes first on the path, where this file would hide the client of the same name.
    sys.path.append(sys.path.pop(0))
    from _kubernetes import main

    main()
