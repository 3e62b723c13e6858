"""What the tests of data share: pictures to read, and what a message should say."""

from PIL import Image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(path, colour=RED, size=(8, 6), mode="RGB", **options):
    """Save a picture of one colour, in folders that are made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def refusal(error, *parts, path=None):
    """The message of a pytest.raises context, once its parts and path have been checked."""
    text = str(error.value)
    for part in parts: assert str(part) in text
    if path is not None: assert error.value.path == str(path)
    return text
