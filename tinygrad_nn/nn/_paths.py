"""Dotted paths: what a module's attributes hold, what to put there instead, where it failed."""


def walk(path, value):
    """(path, value) of what lists, tuples and dicts hold, or of the value itself."""
    if isinstance(value, dict):
        for key, v in value.items():
            yield from walk(f"{path}.{key}", v)
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from walk(f"{path}.{i}", v)
    else:
        yield path, value


def replaced(path, value, new):
    """The same structure with ``new(path, old)`` of what it holds; itself if none differs."""
    if isinstance(value, dict):
        items = {k: replaced(f"{path}.{k}", v, new) for k, v in value.items()}
        return items if any(items[k] is not v for k, v in value.items()) else value
    if isinstance(value, (list, tuple)):
        items = [replaced(f"{path}.{i}", v, new) for i, v in enumerate(value)]
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        if hasattr(value, "_fields"):
            return type(value)(*items)
        return items if isinstance(value, list) else tuple(items)
    return new(path, value)


def say_where(error, module):
    """Put the path of the layer that failed in front of an error's message.

    Called on the way out by every module: the first one is the layer, each outer one knows the
    name of the one before. The message is rewritten, the exception and its type stay; so where
    nothing fails it costs nothing.
    """
    if len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    layer, inner, path, message = getattr(error, "_layer", (module, None, "", error.args[0]))
    for part in module._own():
        if part.value is inner:
            path = f"{part.name}.{path}" if path else part.name
            break
    error._layer = layer, module, path, message
    if path:
        try:
            title = layer._title()
        except AttributeError:              # half built
            title = type(layer).__name__
        title = "" if message.startswith(title) else f" ({title})"
        error.args = (f"{path}{title}: {message}",)
