"""Show the metadata layer at work on real media: crop, find faces, transcribe speech."""
