"""Draws what the demo shows: runs it in a pseudo-terminal, types, and paints the cells as PNG files.

    python tools/screenshots.py BINARY FOLDER [NAME ...]
    python tools/screenshots.py BINARY FOLDER tour

The second makes `tour.gif`, a session played by the script TOUR below.

Needs pexpect, pyte and pillow, and the font DejaVu Sans Mono (Debian: fonts-dejavu-core).
"""
import os
import sys
import tempfile
import time

import pexpect
import pyte
from PIL import Image, ImageChops, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/"
CELL = (10, 20)
TOUR_CELL = (7, 14)
TOUR_COLORS = 28
GROUNDS = {"dark": ("#16181d", "#c8ccd4"), "light": ("#ffffff", "#24292f"), "none": ("#16181d", "#d0d0d0"),
           "high-contrast": ("#000000", "#ffffff")}

# Stands for a new history file, which the demo fills.
HISTORY = "HISTORY"

# Name, size, theme, keys (None waits a second), options of the demo.
SHOTS = [
    ("tasks", (120, 36), "dark", "jjjj", []),
    ("tasks-80x24", (80, 24), "dark", "jj", []),
    ("tasks-200x60", (200, 60), "dark", "jjj", []),
    ("tasks-40x12", (40, 12), "dark", "jj", []),
    ("tasks-light", (120, 36), "light", "jjjj", []),
    ("tasks-no-color", (120, 36), "none", "jjjj", []),
    ("filter", (120, 36), "dark", ["/state:failure task:"], []),
    ("columns", (120, 36), "dark", ["c"], []),
    ("task", (120, 40), "dark", ["/state:failure task:charge tries:>1\r", None, "\r"], []),
    ("task-80x24", (80, 24), "dark", ["/state:failure task:charge tries:>1\r", None, "\r"], []),
    ("task-light", (120, 40), "light", ["/state:failure task:charge tries:>1\r", None, "\r"], []),
    ("workflow", (120, 36), "dark", ["/task:reports.render\r", None, "W", None], []),
    ("workflow-80x24", (80, 24), "dark", ["/task:reports.render\r", None, "W", None], []),
    ("retry", (120, 36), "dark", ["/state:failure task:charge\r", None, "r"], []),
    ("menu", (120, 36), "dark", ["jjj", "."], []),
    ("palette", (120, 36), "dark", [":", "work"], []),
    ("help", (120, 36), "dark", ["?"], []),
    ("workers", (120, 36), "dark", ["2", None, None, None], []),
    ("workers-80x24", (80, 24), "dark", ["2", None, None, None], []),
    ("workers-200x60", (200, 60), "dark", ["2", None, None, None], ["--workers", "24", "--rate", "60"]),
    ("workers-folded", (120, 36), "dark", ["2", None, None, None], ["--workers", "60", "--rate", "60"]),
    ("workers-light", (120, 36), "light", ["2", None, None, None], []),
    ("worker", (120, 36), "dark", ["2", None, "jj\r", None, "]]", None, None], []),
    ("autoscale", (120, 36), "dark", ["2", None, "G", "A"], []),
    ("monitor", (120, 36), "dark", ["3", None], []),
    ("monitor-80x24", (80, 24), "dark", ["3", None], []),
    ("monitor-200x60", (200, 60), "dark", ["3", None], []),
    ("monitor-light", (120, 36), "light", ["3", None], []),
    ("monitor-no-color", (120, 36), "none", ["3", None], []),
    ("monitor-read", (120, 36), "dark", ["3", None, "{{{{{{{{", None], []),
    ("broker", (120, 36), "dark", ["4"] + [None] * 12, ["--scenario", "backlog"]),
    ("broker-80x24", (80, 24), "dark", ["4"] + [None] * 12, ["--scenario", "backlog"]),
    ("broker-200x60", (200, 60), "dark", ["4"] + [None] * 12, ["--scenario", "backlog"]),
    ("broker-light", (120, 36), "light", ["4"] + [None] * 6, ["--scenario", "backlog"]),
    ("queue", (120, 36), "dark", ["4"] + [None] * 3 + ["\r"] + [None] * 4, ["--scenario", "backlog"]),
    ("failures", (120, 36), "dark", ["5", None], []),
    ("failures-80x24", (80, 24), "dark", ["5", None], []),
    ("failures-200x60", (200, 60), "dark", ["5", None], []),
    ("failures-light", (120, 36), "light", ["5", None], []),
    ("history", (120, 36), "dark", ["6", None, None, "jjjj"], [HISTORY]),
    ("history-80x24", (80, 24), "dark", ["6", None, None, "jj"], [HISTORY]),
    ("history-200x60", (200, 60), "dark", ["6", None, None, "jjj"], [HISTORY]),
    ("history-light", (120, 36), "light", ["6", None, None, "jjjj"], [HISTORY]),
    ("history-span", (120, 36), "dark", ["6", None, None, "/task:billing.*\r", None, "{{{{", ">>", None], [HISTORY]),
    ("empty", (120, 36), "dark", [], ["--tasks", "0", "--rate", "0", "--workers", "0"]),
    ("hundred-thousand", (120, 36), "dark", [None] * 6 + ["jjjj"], ["--tasks", "100000"]),
    ("high-contrast", (120, 36), "high-contrast", "jjjj", []),
]

# The animated tour: what is typed, and how many seconds that is looked at. Several keys in one string are typed one after
# the other, as a person does. None just looks. Seconds below one pass as they are, longer ones in one picture a second.
TOUR_SIZE = (100, 30)
TOUR_OPTIONS = ["--seed", "7", "--rate", "5"]
TOUR = [
    (None, 2),
    ("jj", 1),
    ("/state:failure", 1.5),
    ("\r", 1.5),
    ("\r", 2.5),
    ("\x1b", 0.5),
    ("\x1b", 1),
    ("5", 2.5),
    ("2", 2.5),
    ("j", 1),
    ("]", 2),
    ("3", 2),
    ("{{", 1),
    ("4", 2.5),
    ("1", 1.5),
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


def braille(draw, x, y, cell, bits, ink):
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    dot = cell[0] // 5
    for bit, (column, row) in enumerate(places):
        if bits >> bit & 1:
            left, top = x + dot // 2 + column * cell[0] // 2, y + dot + row * cell[1] // 4
            draw.ellipse([left, top, left + dot, top + dot], fill=ink)


def picture(terminal, theme, cell_size):
    """The screen as an image, in all its colours."""
    ground, text = GROUNDS[theme]
    wide, high = cell_size
    columns, lines = terminal.screen.columns, terminal.screen.lines
    image = Image.new("RGB", (columns * wide + 16, lines * high + 16), ground)
    draw = ImageDraw.Draw(image)
    points = high * 4 // 5
    plain = ImageFont.truetype(FONTS + "DejaVuSansMono.ttf", points)
    bold = ImageFont.truetype(FONTS + "DejaVuSansMono-Bold.ttf", points)
    for row in range(lines):
        for column in range(columns):
            cell = terminal.screen.buffer[row][column]
            ink, paper = color(cell.fg, text), color(cell.bg, ground)
            if cell.reverse:
                ink, paper = paper, ink
            x, y = 8 + column * wide, 8 + row * high
            if paper != ground:
                draw.rectangle([x, y, x + wide - 1, y + high - 1], fill=paper)
            code = ord(cell.data[0]) if cell.data else 32
            if 0x2800 <= code <= 0x28FF:
                braille(draw, x, y, cell_size, code - 0x2800, ink)
            elif 0x2581 <= code <= 0x2588:
                top = y + high - round((code - 0x2580) * high / 8)
                draw.rectangle([x, top, x + wide - 1, y + high - 1], fill=ink)
            elif code != 32:
                draw.text((x, y), cell.data, font=bold if cell.bold else plain, fill=ink)
            if cell.underscore:
                draw.line([x, y + high - 1, x + wide, y + high - 1], fill=ink)
    return image


def paint(terminal, theme, path):
    colors = picture(terminal, theme, CELL).quantize(200, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    colors.save(path, optimize=True)


def tour(binary, path):
    """Plays TOUR and writes it as an animation of few colours."""
    terminal = Terminal([binary, "demo"] + TOUR_OPTIONS, TOUR_SIZE, "dark")
    terminal.run(3.5)
    frames = []

    def look(seconds):
        terminal.run(seconds)
        image = picture(terminal, "dark", TOUR_CELL)
        if frames and frames[-1][0].tobytes() == image.tobytes():
            frames[-1][1] += seconds
        else:
            frames.append([image, seconds])

    for keys, seconds in TOUR:
        for key in [keys] if keys and keys.startswith("\x1b") else list(keys or ""):
            terminal.child.send(key)
            look(0.15)
        while seconds > 0:
            look(min(seconds, 1))
            seconds -= 1
    terminal.child.terminate(force=True)
    # One palette for all pictures; of each but the first only what changed is stored, the rest lets the one before through.
    sheet = Image.new("RGB", (frames[0][0].width, frames[0][0].height * len(frames)))
    for i, (image, _) in enumerate(frames):
        sheet.paste(image, (0, i * image.height))
    palette = sheet.quantize(TOUR_COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    whole = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image, _ in frames]
    images = whole[:1]
    for before, image in zip(whole, whole[1:]):
        same = ImageChops.difference(before.convert("RGB"), image.convert("RGB")).convert("L").point(lambda v: 0 if v else 255)
        part = image.copy()
        part.paste(TOUR_COLORS, (0, 0), same)
        images.append(part)
    durations = [round(seconds * 1000) for _, seconds in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False, disposal=1,
                   transparency=TOUR_COLORS)
    print(f"tour: {len(frames)} pictures, {sum(durations) / 1000:.0f} s, {os.path.getsize(path) / 1000:.0f} kB")


def main(binary, folder):
    os.makedirs(folder, exist_ok=True)
    only = sys.argv[3:]
    if only == ["tour"]:
        tour(binary, os.path.join(folder, "tour.gif"))
        return
    for name, size, theme, keys, options in SHOTS:
        if only and name not in only:
            continue
        history = tempfile.TemporaryDirectory()
        named = ["--history", os.path.join(history.name, "history.db")]
        options = [part for option in options for part in (named if option == HISTORY else [option])]
        terminal = Terminal([binary, "demo", "--seed", "7"] + options, size, theme)
        terminal.run(3.5)
        for key in keys:
            if key is not None:
                terminal.child.send(key)
            terminal.run(0.3 if key is not None else 1)
        terminal.run(0.8)
        paint(terminal, theme, os.path.join(folder, name + ".png"))
        terminal.child.terminate(force=True)
        history.cleanup()
        print(name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
