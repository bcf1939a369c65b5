"""Helper processes: libraries with global state, long computations and licences of their own live there."""
