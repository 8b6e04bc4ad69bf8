# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds out whether a JPEG is complete, since decoders make up missing parts without an error."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

_MARKER = re.compile(rb'\xff([\xc0-\xcf\xd8-\xfe])')  # a marker outside of scans
_BEGIN, _END, _SCAN = 0xD8, 0xD9, 0xDA
_END_BYTES = bytes([0xFF, _END])
_INTERVAL = 0xDD
_UNSEEN = {*range(0xE0, 0xF0), 0xFE}  # segments that are not decoded: applications' and comments
_BEGINNING = 256  # bytes of a scan that noise is sure to change
_RESTART = re.compile(rb'\xff([\xd0-\xd7])')  # divides a scan, so that lost data spoil one part
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments with size and components
_HUFFMAN = {0xC0, 0xC1}  # frames of pictures that are coded in one go, row by row
_SURPLUS = b'\xff\x00' * 8
"""More than libjpeg reads ahead. Its bits are all ones, which are no valid code, and are skipped
17 bits at a time. So a picture that lacks more than two blocks uses it up and needs still more."""
_MORE = bytes(range(1, 129))  # ignored by a complete picture, but changes an incomplete one


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG's bytes, and where its parts are.

    end: the index after its end marker.
    frame: marker of the segment that says how the picture is coded.
    scan, scan_end: where the first scan, the coded picture or a part of it, begins and ends.
    components: the number of components in the picture, and in the first scan.
    interval: how many coding units (MCUs, T.81 A.2) are between restart markers; 0 without them.
    units: the number of coding units if all components are in one scan.
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
        """Whether no data of the picture are missing.

        If some are, libjpeg makes them up and only warns, but OpenCV and Pillow do not pass the
        warning on. In pictures with several scans, such as progressive ones, only the last scan is
        checked.

        Args:
            picture: the decoded picture, (H, W, 3) uint8 RGB.
        """
        if self.frame in _HUFFMAN and self.components[0] == self.components[1]:
            return self._is_complete()
        more = _rgb(self.data[: self.end - 2] + _MORE + _END_BYTES)
        # Pillow may use another libjpeg than OpenCV, and does not turn the picture as EXIF says.
        return np.array_equal(more, picture) or np.array_equal(more, _rgb(self.data[: self.end]))

    def _is_complete(self) -> bool:
        """Whether every part of the only scan is there and complete.

        The picture is decoded at an eighth of its size, which takes little time.
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
    """Find a JPEG's parts by its markers; return None if it is cut off before its end."""
    scan, scan_end, interval = 0, 0, 0
    frame, body, scanned = 0, b'', 0
    for kind, begin, end in _segments(data):
        if scan and not scan_end:
            scan_end = begin
        if kind == _END:
            components = (body[5] if len(body) > 5 else 0, scanned)
            units = _units(body)
            return Jpeg(data, end, frame, scan, scan_end, components, interval, units)
        if kind == _BEGIN:  # of another picture, left over in the buffer
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
    """Whether two JPEGs are equal, except for comments, EXIF, and bytes after the end.

    Different pictures of a camera differ in the first bytes of the scan, so this is usually quick.
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
    """Return the decoded segments before a JPEG's first scan, and where the scan begins."""
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
    """Yield the marker of each segment, the index of its beginning, and the one after its end.

    Segments are skipped by their length, since a thumbnail in one has its own end marker.
    """
    at = 2
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind not in (_BEGIN, _END):
            at += int.from_bytes(data[at : at + 2], 'big')
        yield kind, marker.start(), at


def _units(frame: bytes) -> int:
    """Return how many coding units a scan of all components has; frame: the frame's segment."""
    height, width = (int.from_bytes(frame[i : i + 2], 'big') for i in (1, 3))
    samplings = frame[7::3]
    if len(samplings) < 2:  # one component is coded block by block, whatever its sampling
        samplings = b'\x11'
    across, down = (8 * max(s >> 4 for s in samplings), 8 * max(s & 15 for s in samplings))
    return -(-width // max(across, 1)) * -(-height // max(down, 1))


def _small(data: bytes) -> np.ndarray | None:
    """Decode a JPEG without its end marker at an eighth of its size; None if data are missing.

    Without the end marker, libjpeg waits for the missing data, and Pillow raises an error.
    """
    try:
        with JpegImageFile(io.BytesIO(data + _SURPLUS)) as picture:
            picture.draft(picture.mode, (1, 1))
            picture.load()
            return np.asarray(picture)
    except OSError:
        return None


def _rgb(data: bytes) -> np.ndarray:
    """Return a JPEG as Pillow reads it, (H, W, 3) uint8 RGB; (0, 0, 3) if it cannot."""
    try:
        with JpegImageFile(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert('RGB'))
    except OSError:
        return np.empty((0, 0, 3), np.uint8)
