"""What is measured, with pytest-benchmark: `make bench`."""
