"""picamera2 with libcamera's virtual camera: what a Pi has and this machine does not.

`prepare()` changes three things, all below what the adapter sees: memory for buffers comes from
memfd instead of /dev/dma_heap; a buffer has a plane for luma and one for chroma, as the virtual
camera wants it; and the camera is not asked for its raw modes, of which it has none.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import libcamera
import picamera2.allocators.dmaallocator as allocator
from picamera2 import Picamera2


class Heap:
    """picamera2.dma_heap.DmaHeap on memfd."""

    def alloc(self, name: str, size: int) -> SimpleNamespace:
        fd = os.memfd_create(name)
        os.ftruncate(fd, size)
        return SimpleNamespace(get=lambda: fd, isValid=lambda: True)

    def close(self) -> None:
        pass


def frame_buffer(planes: list[Any]) -> Any:
    """libcamera.FrameBuffer of one plane → one with two, for NV12."""
    (luma,) = planes  # stays the same object: the allocator knows buffers by its descriptor
    size = luma.length
    chroma = libcamera.FrameBuffer.Plane()
    chroma.fd = luma.fd
    chroma.offset = luma.length = size * 2 // 3
    chroma.length = size // 3
    return libcamera.FrameBuffer([luma, chroma])


def prepare() -> None:
    frame_buffer.Plane = libcamera.FrameBuffer.Plane  # type: ignore[attr-defined]
    allocator.DmaHeap = Heap
    allocator.libcamera = SimpleNamespace(FrameBuffer=frame_buffer)
    allocator.fcntl = SimpleNamespace(ioctl=lambda *_: 0)  # cache flushes of DMA memory
    Picamera2._get_raw_modes = lambda self: [{"format": "NV12", "size": (640, 480)}]
