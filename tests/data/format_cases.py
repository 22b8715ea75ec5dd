"""Image files of every format that is read, with the pixels that become of them: the rows of the table in docs/data.md."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.data.pictures import filled, orientation, png, saved, shorts, tiff

GREY = 128  # of the ground
RAMP = np.repeat(np.repeat(np.array([[20, 220], [90, 150]], np.uint8), 8, axis=0), 8, axis=1)  # 16 x 16
DEEP = np.array([[0, 257 * 5 + 100], [257 * 128, 65535]], np.uint16)
COLOUR = (200, 100, 50)
HALF = [
    [(200 * a + GREY * (255 - a) + 127) // 255 for a in (0, 128, 255)]
]  # of grey 200 with alpha 0, 128, 255
HALVES = np.array([[[200, 0], [200, 128], [200, 255]]], np.uint8)
CLEAR = (*COLOUR, 0)

# Row of the table, suffix, file, channels, pixels, and how far they may be off.
CASES: dict[str, tuple[str, str, bytes, int, object, int]] = {
    "1 bit": ("PNG", ".png", png(4, 1, 0, b"\x50"), 1, [[0, 255, 0, 255]], 0),
    "2 bits": ("PNG", ".png", png(4, 2, 0, b"\x1b"), 1, [[0, 85, 170, 255]], 0),
    "4 bits": ("PNG", ".png", png(2, 4, 0, b"\x1f"), 1, [[17, 255]], 0),
    "16 bits": ("PNG", ".png", saved(DEEP, "PNG"), 1, [[0, 5], [128, 255]], 0),
    "16 bits, colour": ("PNG", ".png", png(1, 16, 2, shorts(257 * 5, 65535, 511)), 3, [[[5, 255, 1]]], 0),
    "palette": ("PNG", ".png", png(2, 8, 3, b"\1\0", PLTE=bytes([1, 2, 3, *COLOUR])), 3, [[COLOUR, (1, 2, 3)]], 0),
    "alpha": ("PNG", ".png", saved(HALVES, "PNG"), 1, HALF, 0),
    "alpha, colour": ("PNG", ".png", png(2, 8, 6, bytes([*CLEAR, *COLOUR, 255])), 3, [[[GREY] * 3, COLOUR]], 0),
    "alpha, 16 bits": ("PNG", ".png", png(1, 16, 4, shorts(257 * 200, 257 * 128)), 1, [HALF[0][1:2]], 0),
    "transparent black": ("PNG", ".png", png(2, 1, 0, b"\x40", tRNS=shorts(0)), 1, [[GREY, 255]], 0),
    "transparent of 2 bits": ("PNG", ".png", png(4, 2, 0, b"\x1b", tRNS=shorts(1)), 1, [[0, GREY, 170, 255]], 0),
    "transparent grey": ("PNG", ".png", png(2, 8, 0, b"\x05\x09", tRNS=shorts(5)), 1, [[GREY, 9]], 0),
    "transparent of 16 bits": (
        "PNG", ".png", png(2, 16, 0, shorts(300, 65535), tRNS=shorts(300)), 1, [[GREY, 255]], 0,
    ),
    "transparent colour": (
        "PNG", ".png", png(2, 8, 2, bytes([1, 2, 3, 4, 5, 6]), tRNS=shorts(1, 2, 3)), 3, [[[GREY] * 3, [4, 5, 6]]], 0,
    ),
    "transparent palette": (
        "PNG", ".png", png(2, 8, 3, b"\0\1", PLTE=bytes([0, 0, 0, *COLOUR]), tRNS=b"\0"), 3, [[[GREY] * 3, COLOUR]], 0,
    ),
    "first of several": (
        "PNG", ".apng", saved(filled("L", 9), "PNG", save_all=True, append_images=[filled("L", 99)]), 1, 9, 0,
    ),
    "JPEG, grey": ("JPEG", ".jpg", saved(filled("L", 77), "JPEG"), 1, 77, 2),
    "JPEG, colour": ("JPEG", ".jpeg", saved(filled("RGB", COLOUR), "JPEG", quality=100), 3, COLOUR, 2),
    "JPEG, CMYK": ("JPEG", ".jpe", saved(filled("CMYK", (255, 0, 0, 0)), "JPEG"), 3, (0, 255, 255), 3),
    "JPEG, turned": (
        "JPEG", ".jfif", saved(RAMP, "JPEG", quality=100, exif=orientation(6)), 1, np.rot90(RAMP, -1), 3,
    ),
    "TIFF, 1 bit": ("TIFF", ".tif", tiff(8, 1, 1, b"\x0f"), 1, [[0] * 4 + [255] * 4], 0),
    "TIFF, 4 bits": ("TIFF", ".tif", tiff(2, 4, 1, b"\x1f"), 1, [[17, 255]], 0),
    "TIFF, 12 bits": ("TIFF", ".tif", tiff(2, 12, 1, b"\x80\x0f\xff"), 1, [[128, 255]], 0),
    "TIFF, 16 bits": ("TIFF", ".tiff", saved(DEEP, "TIFF"), 1, [[0, 5], [128, 255]], 0),
    "TIFF, big-endian": ("TIFF", ".tif", saved(Image.fromarray(DEEP.astype(">u2")), "TIFF"), 1, [[0, 5], [128, 255]], 0),
    "TIFF, 0 is white": ("TIFF", ".tif", tiff(2, 8, 0, b"\0\xc8"), 1, [[255, 55]], 0),
    "TIFF, 0 is white, 16 bits": ("TIFF", ".tif", tiff(2, 16, 0, b"\0\0\xff\xff"), 1, [[255, 0]], 0),
    "TIFF, turned": ("TIFF", ".tif", tiff(2, 8, 1, b"\7\x09", orientation=6), 1, [[7], [9]], 0),
    "TIFF, turned, 16 bits": (
        "TIFF", ".tif", tiff(2, 16, 1, b"\7\7\x09\x09", orientation=8), 1, [[9], [7]], 0,
    ),
    "TIFF, alpha": ("TIFF", ".tif", saved(HALVES, "TIFF"), 1, HALF, 0),
    "TIFF, CMYK": ("TIFF", ".tif", saved(filled("CMYK", (255, 0, 0, 0)), "TIFF"), 3, (0, 255, 255), 0),
    "TIFF, LAB": ("TIFF", ".tif", saved(filled("LAB", (255, 128, 128)), "TIFF"), 3, (255, 255, 255), 1),
    "WebP": ("WebP", ".webp", saved(filled("RGB", COLOUR), "WEBP", lossless=True), 3, COLOUR, 0),
    "WebP, alpha": ("WebP", ".webp", saved(HALVES, "WEBP", lossless=True), 1, HALF, 0),
    "WebP, turned": (
        "WebP", ".webp", saved(RAMP, "WEBP", lossless=True, exif=orientation(6)), 1, np.rot90(RAMP, -1), 0,
    ),
    "AVIF": ("AVIF", ".avif", saved(filled("RGB", COLOUR), "AVIF", quality=100), 3, COLOUR, 3),
    "AVIF, alpha": ("AVIF", ".avif", saved(filled("RGBA", CLEAR), "AVIF"), 3, GREY, 0),
    "AVIF, turned": (
        "AVIF", ".avif", saved(RAMP, "AVIF", quality=100, exif=orientation(6)), 1, np.rot90(RAMP, -1), 6,
    ),
    "GIF": ("GIF", ".gif", saved(filled("RGB", COLOUR), "GIF"), 3, COLOUR, 0),
    "GIF, transparent": ("GIF", ".gif", saved(filled("RGBA", CLEAR), "GIF"), 3, GREY, 0),
    "GIF, several": (
        "GIF", ".gif", saved(filled("L", 9), "GIF", save_all=True, append_images=[filled("L", 99)]), 1, 9, 0,
    ),
    "BMP, 1 bit": ("BMP", ".bmp", saved(filled("1", 1), "BMP"), 1, 255, 0),
    "BMP, colour": ("BMP", ".bmp", saved(filled("RGB", COLOUR), "BMP"), 3, COLOUR, 0),
    "BMP, upright": ("BMP", ".dib", saved(RAMP, "DIB"), 1, RAMP, 0),
    "PBM": ("PNM", ".pbm", b"P4 8 1\n\x0f", 1, [[255] * 4 + [0] * 4], 0),
    "PGM": ("PNM", ".pgm", b"P5 2 1 255\n\x07\x09", 1, [[7, 9]], 0),
    "PGM, 16 bits": ("PNM", ".pgm", b"P5 3 1 65535\n" + shorts(0, 257 * 5 + 100, 65535), 1, [[0, 5, 255]], 0),
    "PGM, 12 bits": ("PNM", ".pgm", b"P5 2 1 4095\n" + shorts(2048, 4095), 1, [[128, 255]], 0),
    "PGM, text": ("PNM", ".pnm", b"P2 2 1 65535\n1285 65535\n", 1, [[5, 255]], 0),
    "PPM": ("PNM", ".ppm", b"P6 1 1 255\n" + bytes(COLOUR), 3, [[COLOUR]], 0),
    "PPM, 16 bits": ("PNM", ".ppm", b"P6 1 1 65535\n" + shorts(257 * 5, 65535, 511), 3, [[[5, 255, 1]]], 1),
    "JPEG 2000": ("JPEG 2000", ".jp2", saved(filled("RGB", COLOUR), "JPEG2000"), 3, COLOUR, 0),
    "JPEG 2000, 16 bits": (
        "JPEG 2000", ".jp2", saved(DEEP, "JPEG2000"), 1, [[0, 5], [128, 255]], 0,
    ),
    "JPEG 2000, alpha": ("JPEG 2000", ".jp2", saved(filled("RGBA", CLEAR), "JPEG2000"), 3, GREY, 0),
    "TGA": ("TGA", ".tga", saved(filled("RGB", COLOUR), "TGA"), 3, COLOUR, 0),
    "TGA, from the top": ("TGA", ".tga", saved(RAMP, "TGA", orientation=1), 1, RAMP, 0),
    "TGA, from the bottom": ("TGA", ".tga", saved(RAMP, "TGA", orientation=-1), 1, RAMP, 0),
    "TGA, alpha": ("TGA", ".tga", saved(HALVES, "TGA"), 1, HALF, 0),
    "ICO, largest": (
        "ICO, ICNS", ".ico", saved(filled("RGBA", CLEAR, 32), "ICO", sizes=[(16, 16), (32, 32)]), 3, GREY, 0,
    ),
    "ICNS": ("ICO, ICNS", ".icns", saved(filled("RGBA", (*COLOUR, 255), 32), "ICNS"), 3, COLOUR, 0),
    "QOI": ("QOI, DDS, SGI", ".qoi", saved(filled("RGBA", CLEAR), "QOI"), 3, GREY, 0),
    "DDS": ("QOI, DDS, SGI", ".dds", saved(filled("RGBA", CLEAR), "DDS"), 3, GREY, 0),
    "SGI": ("QOI, DDS, SGI", ".sgi", saved(filled("RGBA", CLEAR), "SGI"), 3, GREY, 0),
    "SGI, upright": ("QOI, DDS, SGI", ".bw", saved(RAMP, "SGI"), 1, RAMP, 0),
    "PCX": ("others", ".pcx", saved(RAMP, "PCX"), 1, RAMP, 0),
    "IM": ("others", ".im", saved(RAMP, "IM"), 1, RAMP, 0),
    "MSP": ("others", ".msp", saved(filled("1", 1), "MSP"), 1, 255, 0),
    "XBM": ("others", ".xbm", saved(filled("1", 1), "XBM"), 1, 255, 0),
}  # fmt: skip
