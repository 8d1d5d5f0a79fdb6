"""The library's own tables, straight on a backend: they are not features."""
