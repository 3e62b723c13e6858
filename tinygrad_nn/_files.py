"""Writing files so that a failure half way leaves what was there."""

import contextlib
import glob
import os
import secrets
import zlib


@contextlib.contextmanager
def replacing(path):
    """A binary file to write; when the block ends well it takes the place of ``path``.

    It lies beside ``path`` under a name of its own, and is flushed to the disk before it is
    renamed, so other processes see the old file or the whole new one. If anything fails, it is
    deleted and the old file stays. Where ``path`` is a symbolic link, the file it points to is
    replaced.
    """
    target = os.path.realpath(path)
    part = f"{_start(target)}{secrets.token_hex(8)}.part"
    try:
        with open(part, "xb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def remove_parts(path):
    """Delete what killed processes left of files that were to take the place of ``path``."""
    for part in glob.glob(glob.escape(_start(os.path.realpath(path))) + "*.part"):
        os.unlink(part)


def _start(target):
    """How the names beside ``target`` begin: a sum stands for its name, which may be so long
    that nothing can be added to it."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{zlib.crc32(os.fsencode(name)):08x}-")
