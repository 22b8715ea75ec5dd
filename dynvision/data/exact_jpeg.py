"""Decoding JPEG in FFCV with the accurate transform, as Pillow does, in place of the fast one that FFCV asks for.

The two differ by up to 6 of 255. Needs FFCV: import this file only where `use_ffcv` says so.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import ffcv._libffcv
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.libffcv import memcpy
from ffcv.pipeline.compiler import Compiler

RGB, ACCURATE = 0, 4096  # TJPF_RGB and TJFLAG_ACCURATEDCT of turbojpeg.h

_library = ctypes.CDLL(ffcv._libffcv.__file__)  # and with it TurboJPEG, to which it is linked
_begin = _library.tjInitDecompress
_begin.restype, _begin.argtypes = ctypes.c_void_p, []
_decompress = _library.tjDecompress2
_decompress.restype = ctypes.c_int
_decompress.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p,
    ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int,
]  # fmt: skip
_end = _library.tjDestroy
_end.restype, _end.argtypes = ctypes.c_int, [ctypes.c_void_p]


class ExactRGBImageDecoder(SimpleRGBImageDecoder):
    """Images of one size, compressed or not."""

    def generate_code(self) -> Callable[..., Any]:
        read, images = self.memory_read, Compiler.get_iterator()
        copy = Compiler.compile(memcpy)
        begin, decompress, end = _begin, _decompress, _end
        jpg, rgb, accurate = IMAGE_MODES["jpg"], RGB, ACCURATE

        def decode(batch_indices: Any, destination: Any, metadata: Any, storage_state: Any) -> Any:
            for place in images(len(batch_indices)):
                field = metadata[batch_indices[place]]
                content = read(field["data_ptr"], storage_state)
                if field["mode"] == jpg:
                    handle = begin()
                    decompress(
                        handle,
                        content.ctypes.data,
                        content.size,
                        destination[place].ctypes.data,
                        field["width"],
                        0,
                        field["height"],
                        rgb,
                        accurate,
                    )
                    end(handle)
                else:
                    copy(content, destination[place])
            return destination[: len(batch_indices)]

        decode.is_parallel = True  # type: ignore[attr-defined]
        return decode
