"""Training of the networks: data, methods, benchmark. Run from the checkout as `python -m training`."""
