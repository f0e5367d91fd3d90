"""Draws what the demo shows: runs it in a pseudo-terminal, types, and paints the cells as PNG files.

    python tools/screenshots.py BINARY FOLDER

Needs pexpect, pyte and pillow, and the font DejaVu Sans Mono (Debian: fonts-dejavu-core).
"""
import os
import sys
import time

import pexpect
import pyte
from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/"
CELL = (10, 20)
GROUNDS = {"dark": ("#16181d", "#c8ccd4"), "light": ("#ffffff", "#24292f"), "none": ("#16181d", "#d0d0d0")}

# Name, size, theme, keys (None waits a second), options of the demo.
SHOTS = [
    ("tasks", (120, 36), "dark", "jjjj", []),
    ("tasks-80x24", (80, 24), "dark", "jj", []),
    ("tasks-200x60", (200, 60), "dark", "jjj", []),
    ("tasks-light", (120, 36), "light", "jjjj", []),
    ("tasks-no-color", (120, 36), "none", "jjjj", []),
    ("failures", (120, 36), "dark", ["/state:failure,retry\r"], []),
    ("task", (120, 40), "dark", ["/state:failure task:charge\r", None, "\r"], []),
    ("task-light", (120, 40), "light", ["/state:failure task:charge\r", None, "\r"], []),
    ("retry", (120, 36), "dark", ["/state:failure task:charge\r", None, "r"], []),
    ("menu", (120, 36), "dark", ["jjj", "."], []),
    ("help", (120, 36), "dark", ["?"], []),
    ("workers", (120, 36), "dark", ["2", None, None, None], []),
    ("workers-80x24", (80, 24), "dark", ["2", None, None, None], []),
    ("workers-200x60", (200, 60), "dark", ["2", None, None, None], ["--workers", "24", "--rate", "60"]),
    ("workers-light", (120, 36), "light", ["2", None, None, None], []),
    ("monitor", (120, 36), "dark", ["3", None], []),
    ("monitor-80x24", (80, 24), "dark", ["3", None], []),
    ("monitor-200x60", (200, 60), "dark", ["3", None], []),
    ("monitor-light", (120, 36), "light", ["3", None], []),
    ("broker", (120, 36), "dark", ["4"] + [None] * 12, ["--scenario", "backlog"]),
    ("broker-80x24", (80, 24), "dark", ["4"] + [None] * 12, ["--scenario", "backlog"]),
    ("broker-200x60", (200, 60), "dark", ["4"] + [None] * 12, ["--scenario", "backlog"]),
    ("empty", (120, 36), "dark", [], ["--tasks", "0", "--rate", "0", "--workers", "0"]),
    ("hundred-thousand", (120, 36), "dark", [None, None, None, "jjjj"], ["--tasks", "100000"]),
]


class Terminal:
    def __init__(self, argv, size, theme):
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        environment = dict(os.environ, TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8",
                           FLOWER_TUI_THEME=theme, TZ="UTC")
        environment.pop("NO_COLOR", None)
        self.child = pexpect.spawn(argv[0], argv[1:], env=environment, dimensions=(size[1], size[0]), timeout=5)

    def run(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            try:
                self.stream.feed(self.child.read_nonblocking(65536, timeout=0.1))
            except pexpect.TIMEOUT:
                pass


def color(value, default):
    if value == "default":
        return default
    if len(value) == 6 and all(c in "0123456789abcdefABCDEF" for c in value):
        return "#" + value
    return value


def braille(draw, x, y, bits, ink):
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    for bit, (column, row) in enumerate(places):
        if bits >> bit & 1:
            left, top = x + 1 + column * 5, y + 2 + row * 5
            draw.ellipse([left, top, left + 2, top + 2], fill=ink)


def paint(terminal, theme, path):
    ground, text = GROUNDS[theme]
    columns, lines = terminal.screen.columns, terminal.screen.lines
    image = Image.new("RGB", (columns * CELL[0] + 16, lines * CELL[1] + 16), ground)
    draw = ImageDraw.Draw(image)
    plain = ImageFont.truetype(FONTS + "DejaVuSansMono.ttf", 16)
    bold = ImageFont.truetype(FONTS + "DejaVuSansMono-Bold.ttf", 16)
    for row in range(lines):
        for column in range(columns):
            cell = terminal.screen.buffer[row][column]
            ink, paper = color(cell.fg, text), color(cell.bg, ground)
            if cell.reverse:
                ink, paper = paper, ink
            x, y = 8 + column * CELL[0], 8 + row * CELL[1]
            if paper != ground:
                draw.rectangle([x, y, x + CELL[0] - 1, y + CELL[1] - 1], fill=paper)
            code = ord(cell.data[0]) if cell.data else 32
            if 0x2800 <= code <= 0x28FF:
                braille(draw, x, y, code - 0x2800, ink)
            elif 0x2581 <= code <= 0x2588:
                top = y + CELL[1] - round((code - 0x2580) * CELL[1] / 8)
                draw.rectangle([x, top, x + CELL[0] - 1, y + CELL[1] - 1], fill=ink)
            elif code != 32:
                draw.text((x, y), cell.data, font=bold if cell.bold else plain, fill=ink)
            if cell.underscore:
                draw.line([x, y + CELL[1] - 1, x + CELL[0], y + CELL[1] - 1], fill=ink)
    colors = image.quantize(200, dither=Image.Dither.NONE)
    colors.save(path, optimize=True)


def main(binary, folder):
    os.makedirs(folder, exist_ok=True)
    only = sys.argv[3:]
    for name, size, theme, keys, options in SHOTS:
        if only and name not in only:
            continue
        terminal = Terminal([binary, "demo", "--seed", "7"] + options, size, theme)
        terminal.run(3.5)
        for key in keys:
            if key is not None:
                terminal.child.send(key)
            terminal.run(0.3 if key is not None else 1)
        terminal.run(0.8)
        paint(terminal, theme, os.path.join(folder, name + ".png"))
        terminal.child.terminate(force=True)
        print(name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
