# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether a JPEG is whole: decoders make up what is missing, and at most print a warning."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

_MARKER = re.compile(rb'\xff([\xc0-\xcf\xd8-\xfe])')  # not one that is within a scan
_BEGIN, _END, _SCAN = 0xD8, 0xD9, 0xDA
_END_BYTES = bytes([0xFF, _END])
_INTERVAL = 0xDD
_UNSEEN = {*range(0xE0, 0xF0), 0xFE}  # of applications, as EXIF, and comments
_BEGINNING = 256  # bytes of a scan, which noise changes
_RESTART = re.compile(rb'\xff([\xd0-\xd7])')  # parts a scan, so that what is lost spoils one part
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of size and components
_HUFFMAN = {0xC0, 0xC1}  # those of pictures that are coded in one go, row by row
_SURPLUS = b'\xff\x00' * 8
"""More than libjpeg reads ahead. Ones are no code of any picture, and each is passed over as one
of 17 bits, so that a picture that lacks more than two blocks uses this up and still waits."""
_MORE = bytes(range(1, 129))  # what no picture needs, and what changes one that lacks its own


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG's bytes, and where its parts are.

    end: behind its end marker.
    frame: marker of the segment that says how the picture is coded.
    scan, scan_end: the coded picture, or the first part of it.
    components: of the picture, and of the first scan.
    interval: of restart markers, in units of coding (MCUs, T.81 A.2); 0 where there are none.
    units: of coding, where all components are in one scan.
    """

    data: bytes
    end: int
    frame: int
    scan: int
    scan_end: int
    components: tuple[int, int]
    interval: int
    units: int

    def is_whole(self, picture: np.ndarray) -> bool:
        """Whether the data are there to the end of the picture.

        Where some are not, libjpeg makes them up and only warns, where nobody lets us hear it.
        In pictures of several scans, as progressive ones, it is the last scan that is looked at.

        Args:
            picture: (H, W, 3) uint8 RGB, as it was decoded.
        """
        if self.frame in _HUFFMAN and self.components[0] == self.components[1]:
            return self._is_complete()
        more = _rgb(self.data[: self.end - 2] + _MORE + _END_BYTES)
        # Pillow's libjpeg may be another one than OpenCV's, and it does not turn the picture.
        return np.array_equal(more, picture) or np.array_equal(more, _rgb(self.data[: self.end]))

    def _is_complete(self) -> bool:
        """Whether every part of the only scan is there, and as long as it should be.

        At an eighth of the size, which takes little more than reading it.
        """
        head, scan = self.data[: self.scan], self.data[self.scan : self.scan_end]
        marks = [mark[0] & 7 for mark in _RESTART.findall(scan)]
        if _RESTART.fullmatch(scan[-2:]):  # some encoders end with one more
            scan = scan[:-2]
            marks.pop()
        expected = (self.units - 1) // self.interval if self.interval else 0
        if marks != [i % 8 for i in range(expected)]:
            return False
        small = _small(head + scan)
        if small is None or not marks:
            return small is not None
        more = _small(head + _RESTART.sub(lambda mark: _MORE + mark[0], scan))
        return more is not None and np.array_equal(more, small)


def parts_of(data: bytes) -> Jpeg | None:
    """Return where a JPEG's parts are, by its markers; None where it is cut off before its end."""
    scan, scan_end, interval = 0, 0, 0
    frame, body, scanned = 0, b'', 0
    for kind, begin, end in _segments(data):
        if scan and not scan_end:
            scan_end = begin
        if kind == _END:
            components = (body[5] if len(body) > 5 else 0, scanned)
            units = _units(body)
            return Jpeg(data, end, frame, scan, scan_end, components, interval, units)
        if kind == _BEGIN:  # of the next picture, in what was left of a buffer
            return None
        segment = data[begin + 4 : end]
        if kind in _FRAMES:
            frame, body = kind, segment
        elif not scan and kind == _INTERVAL:
            interval = int.from_bytes(segment[:2], 'big')
        elif not scan and kind == _SCAN:
            scan, scanned = end, segment[0] if segment else 0
    return None


def same_picture(before: bytes, now: bytes) -> bool:
    """Whether two JPEGs differ in nothing that is decoded: in comments, EXIF, or behind the end.

    Those of a camera differ in the first bytes of the coded picture, which takes next to nothing.
    """
    old, new = _head(before), _head(now)
    if old is None or new is None or old[0] != new[0]:
        return False
    (_, old_scan), (_, new_scan) = old, new
    if before[old_scan : old_scan + _BEGINNING] != now[new_scan : new_scan + _BEGINNING]:
        return False
    whole = parts_of(before), parts_of(now)
    if whole[0] is None or whole[1] is None:
        return False
    return before[old_scan : whole[0].end] == now[new_scan : whole[1].end]


def _head(data: bytes) -> tuple[bytes, int] | None:
    """Return a JPEG's segments before its first scan that are decoded, and where that begins."""
    decoded = b''
    for kind, begin, end in _segments(data):
        if kind in (_BEGIN, _END):
            return None
        if kind not in _UNSEEN:
            decoded += data[begin:end]
        if kind == _SCAN:
            return decoded, end
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment, where it begins, and behind its end.

    They are stepped over by their length: a thumbnail within has an end marker of its own.
    """
    at = 2
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind not in (_BEGIN, _END):
            at += int.from_bytes(data[at : at + 2], 'big')
        yield kind, marker.start(), at


def _units(frame: bytes) -> int:
    """Return of how many units of coding a scan of all components is, by the frame's segment."""
    height, width = (int.from_bytes(frame[i : i + 2], 'big') for i in (1, 3))
    samplings = frame[7::3]
    if len(samplings) < 2:  # one component is coded block by block, whatever its sampling
        samplings = b'\x11'
    across, down = (8 * max(s >> 4 for s in samplings), 8 * max(s & 15 for s in samplings))
    return -(-width // max(across, 1)) * -(-height // max(down, 1))


def _small(data: bytes) -> np.ndarray | None:
    """Return an eighth of a JPEG without its end marker; None where it lacks some of its end.

    libjpeg waits for more data then, and Pillow, whose libjpeg warns nobody, says so.
    """
    try:
        with JpegImageFile(io.BytesIO(data + _SURPLUS)) as picture:
            picture.draft(picture.mode, (1, 1))
            picture.load()
            return np.asarray(picture)
    except OSError:
        return None


def _rgb(data: bytes) -> np.ndarray:
    """Return a JPEG as Pillow reads it, (H, W, 3) uint8 RGB; of no size where it cannot."""
    try:
        with JpegImageFile(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert('RGB'))
    except OSError:
        return np.empty((0, 0, 3), np.uint8)
