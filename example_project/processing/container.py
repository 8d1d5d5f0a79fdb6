"""Owns the opening of video files, and the one error that says a file is not one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer


@contextmanager
def open_video(path: str | Path) -> Iterator[InputContainer]:
    """Open an MP4 file that has a picture, for the time of a `with` block.

    A second stream of the same kind is never read by this package; sound is optional.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not MP4, has no picture, is cut off, or cannot be decoded while
            the block reads it. The message names the path.

    >>> from importlib.resources import files
    >>> with open_video(files("example_project") / "media/raw/coffee.mp4") as video:
    ...     [stream.type for stream in video.streams]
    ['video', 'audio']
    """
    try:
        # Asked for by name: left to guess, FFmpeg reads a .txt file as a film of letters.
        with av.open(str(path), format="mp4") as container:
            if not container.streams.video:
                raise ValueError(
                    f"'{path}' has no picture. Give an MP4 file with a video stream; this one's "
                    f"streams are: {', '.join(s.type for s in container.streams) or 'none'}."
                )
            if _end(container) > container.size:
                raise ValueError(
                    f"'{path}' is cut off: it has {container.size} bytes, its index names "
                    f"{_end(container)}. Give an MP4 file that is whole."
                )
            yield container
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise ValueError(
            f"'{path}' cannot be read as a video. Give an MP4 file that is whole; "
            f"FFmpeg says: {error.strerror}."
        ) from error


def _end(container: InputContainer) -> int:
    """Give the number of bytes a whole file has at least: where its last packet ends.

    FFmpeg reads a file cut off as a shorter film and says nothing.
    """
    return max((e.pos + e.size for s in container.streams for e in s.index_entries), default=0)
