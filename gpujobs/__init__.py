"""One typed model of a GPU workload, one submit/status/logs API."""
