"""Work on video files: probe them, crop their picture, find faces, transcribe their speech.

Pure functions of files: none knows of features, versions or stores. One noun per module; nothing
is downloaded, the face detector and the speech model ship inside wheels.
"""
