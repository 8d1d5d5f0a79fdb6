"""Views as text, one file per format, each with the same `render(view) -> str`."""
