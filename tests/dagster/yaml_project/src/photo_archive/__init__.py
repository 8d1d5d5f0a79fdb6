"""Photographs, what is on them and how many there are of it."""
