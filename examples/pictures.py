"""The pictures that the examples save: a cost curve and a gallery of what went wrong.

Drawn with Pillow alone, so that the default command needs no matplotlib. Knows numbers, pixels
and captions; may not know tinygrad_nn, a model, or what a class is.

Curves are drawn three times as large and reduced, since Pillow's lines have jagged edges; text
is drawn at its final size, where the font's own smoothing is crisper.
"""

import math
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, MUTED, RULE, PAPER = "#22262b", "#6b7280", "#e3e6ea", "#ffffff"
CURVE, FRAME = "#2563b0", "#c9ced6"

WIDTH, HEIGHT, FINE = 820, 480, 3          # of a cost curve; drawn FINE times as large
LEFT, TOP, RIGHT, BOTTOM = 70, 76, 30, 56  # its margins

TILE, GAP, EDGE, LINE = 128, 14, 24, 17    # of a gallery: picture, space, border, text line
HEAD = 60                                  # its title
MOST = 40                                  # its pictures
NOTHING = "Nothing went wrong: there is no picture to show."


def cost_curve(costs, path, every=1, title="Cost"):
    """Save a line plot of ``costs`` (a sequence of numbers) as the PNG file ``path``.

    ``costs[i]`` is the cost after ``i * every`` iterations. Costs that are not finite leave a
    gap in the line; the last finite one is written beside its point.

        >>> cost_curve([0.77, 0.67, 0.65, 0.61], "cost.png", every=100)
    """
    costs = np.asarray(costs, dtype=np.float64).ravel()
    good = np.isfinite(costs)
    image = _curve(costs, good, every) if good.any() else _only_text()
    _text(image, (LEFT, 20), title, 19, INK, "lt")
    save(image, path)


def gallery(images, captions, path, title="", columns=None):
    """Save ``images``, float (n, s, s, 3) in 0..1, with a caption under each as a PNG file.

    ``captions`` are n strings of one or more lines. Small pictures are enlarged. The first 40
    are shown, and the title says so when there are more; with none, the file says that too.
    ``ValueError`` unless there are as many captions as pictures.

        >>> gallery(x[wrong], ["cat, said 12 % cat", ...], "mislabelled.png", "Mislabelled")
    """
    if len(captions) != len(images):
        raise ValueError("each picture needs one caption; "
                         f"got {len(captions)} captions for {len(images)} pictures")
    if len(images) > MOST: title = f"{title} (the first {MOST} of {len(images)})".strip()
    captions = [str(caption).split("\n") for caption in captions[:MOST]]
    columns = max(1, min(columns or _columns(len(captions)), len(captions)))
    across, down = TILE + GAP, TILE + 8 + max(map(len, captions), default=1) * LINE + GAP
    width = max(columns * across - GAP, math.ceil(_font(19).getlength(title)), 3 * across)
    rows = math.ceil(len(captions) / columns)
    height = HEAD + max(rows * down, 60)
    sheet = Image.new("RGB", (width + 2 * EDGE, height), PAPER)
    _text(sheet, (EDGE, EDGE - 4), title, 19, INK, "lt")
    if not rows: _text(sheet, (EDGE, HEAD + 8), NOTHING, 15, MUTED, "lt")
    for k, caption in enumerate(captions):
        corner = EDGE + k % columns * across, HEAD + k // columns * down
        _hang(sheet, corner, images[k], caption)
    save(sheet, path)


def save(image, path):
    """Write a PNG under a temporary name in the same folder, then rename it to ``path``."""
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            image.save(file, format="PNG")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary): os.remove(temporary)


# ---- a cost curve


def _curve(costs, good, every):
    iterations = np.arange(len(costs)) * every
    end, last = max(iterations[-1], 1), np.flatnonzero(good)[-1]
    ticks = _ticks(0, end, 8, least=1), _cost_ticks(costs[good])
    place = _placer((0, end), (ticks[1][0], ticks[1][-1]))
    points = [place(i, c) for i, c in zip(iterations, costs, strict=True)]
    sheet = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), PAPER)
    _draw_grid(ImageDraw.Draw(sheet), ticks, place)
    _draw_line(ImageDraw.Draw(sheet), points, points[last])
    image = sheet.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    _label_axes(image, ticks, place)
    text = f"{costs[last]:.4g} at iteration {iterations[last]:,}"
    _label_point(image, points[last], text, [p for p in points if math.isfinite(p[1])])
    return image


def _only_text():
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    middle = WIDTH / 2, HEIGHT / 2
    _text(image, middle, "There is no finite cost to draw.", 15, MUTED, "mm")
    return image


def _ticks(low, high, most, least=0):
    """Evenly spaced numbers around low..high; the step is 1, 2 or 5 times a power of 10."""
    rough = max((high - low) / most, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def _cost_ticks(costs):
    """From zero, unless that would squeeze the curve into the upper half."""
    low, high = costs.min(), costs.max()
    if 0 <= low <= high / 2: low = 0.0
    if high - low <= 1e-9 * abs(high) or high == low:
        low, high = low - max(abs(low), 1) / 10, high + max(abs(high), 1) / 10
    return _ticks(low, high, 6)


def _placer(xs, ys):
    """A function from (iteration, cost) to the point on the sheet, in final pixels."""
    def place(x, y):
        across = (x - xs[0]) / (xs[1] - xs[0])
        up = (y - ys[0]) / (ys[1] - ys[0])
        return (LEFT + across * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM))
    return place


def _draw_grid(draw, ticks, place):
    xs, ys = ticks
    right, floor = (WIDTH - RIGHT) * FINE, (HEIGHT - BOTTOM) * FINE
    for y in ys:
        at = place(0, y)[1] * FINE
        draw.line((LEFT * FINE, at, right, at), RULE, FINE)
    for x in xs:
        at = place(x, ys[0])[0] * FINE
        if at <= right: draw.line((at, TOP * FINE, at, floor), RULE, FINE)
    draw.line((LEFT * FINE, floor, right, floor), MUTED, FINE)


def _draw_line(draw, points, last):
    for run in _runs(points):
        draw.line([(x * FINE, y * FINE) for x, y in run], CURVE, 2 * FINE, joint="curve")
    draw.circle((last[0] * FINE, last[1] * FINE), 4 * FINE, CURVE)


def _runs(points):
    """The stretches of finite points, each at least two points long."""
    run = []
    for point in [*points, (0, math.nan)]:
        if math.isfinite(point[1]):
            run.append(point)
        else:
            if len(run) > 1: yield run
            run = []


def _label_axes(image, ticks, place):
    xs, ys = ticks
    for y, label in zip(ys, _labels(ys), strict=True):
        _text(image, (LEFT - 10, place(0, y)[1]), label, 13, MUTED, "rm")
    for x, label in zip(xs, _labels(xs), strict=True):
        at = place(x, ys[0])[0], HEIGHT - BOTTOM + 10
        if at[0] <= WIDTH - RIGHT: _text(image, at, label, 13, MUTED, "mt")
    _text(image, (WIDTH - RIGHT, HEIGHT - 8), "iteration", 13, MUTED, "rb")
    _text(image, (LEFT, TOP - 10), "cost", 13, MUTED, "lb")


def _labels(ticks):
    """Every tick with the same number of decimals, as few as tell them apart."""
    step = ticks[1] - ticks[0]
    if not 1e-5 <= step < 1e5: return [f"{tick:.3g}" for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{tick:,.{decimals}f}" for tick in ticks]


def _label_point(image, point, text, points):
    """Over the part of the curve that the text would cover, or under it where that is high."""
    half = _font(14).getlength(text) / 2
    x = min(max(point[0], LEFT + half + 6), WIDTH - RIGHT - half)
    across, up = np.transpose(points)
    ends = np.interp([x - half - 12, x + half + 12], across, up)
    covered = *ends, *up[abs(across - x) <= half + 12]
    over, under = min(covered) - 14, max(covered) + 14
    high = over < TOP + 20
    _text(image, (x, under if high else over), text, 14, INK, "mt" if high else "mb", halo=3)


# ---- a gallery


def _columns(count):
    """One row of up to six, then as many as make the sheet about as wide as high, up to 8."""
    return count if count <= 6 else min(8, max(5, math.ceil(math.sqrt(count * 1.3))))


def _hang(sheet, corner, pixels, caption):
    left, top = corner
    sheet.paste(_tile(pixels), corner)
    frame = left, top, left + TILE - 1, top + TILE - 1
    ImageDraw.Draw(sheet).rectangle(frame, outline=FRAME)
    for n, line in enumerate(caption):
        at = left, top + TILE + 6 + n * LINE
        _text(sheet, at, _fitted(line, TILE, 12), 12, MUTED if n else INK, "lt")


def _tile(pixels):
    pixels = np.clip(np.nan_to_num(np.asarray(pixels, dtype=np.float64)), 0, 1)
    image = Image.fromarray(np.uint8(np.rint(pixels * 255)))
    return image.resize((TILE, TILE), Image.Resampling.BICUBIC)


def _fitted(text, width, size):
    font = _font(size)
    if font.getlength(text) <= width: return text
    while text and font.getlength(text + "…") > width: text = text[:-1]
    return text.rstrip() + "…"


# ---- text


def _font(size):
    return ImageFont.load_default(size=size)


def _text(image, at, text, size, colour, anchor, halo=0):
    ImageDraw.Draw(image).text(at, text, colour, _font(size), anchor=anchor,
                               stroke_width=halo, stroke_fill=PAPER)
