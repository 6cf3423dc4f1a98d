"""From a bare machine to a GPU cluster and back."""
