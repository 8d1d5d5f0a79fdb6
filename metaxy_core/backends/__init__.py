"""One file per system, none imports another: open, scan, append, delete and list tables."""
