"""Looking out for work, and for its end, without the interpreter's lock, compiled by numba.

Whoever looks out gives way to other threads that want its processor each time, and after a
while gives up and sleeps. See `_threads`.
"""

from ._numba import compiled, give_way

LOOKS = 500                     # of 0.3 us each


@compiled
def look_out(cells, me):
    """A helper is done, and looks out for the first item to be taken of the next work. That is
    when the interpreter's lock is free, for which one might have to sleep."""
    cells[me] = 1
    looks = 0
    while cells[0] > 0 and looks < LOOKS:           # the work that is done
        give_way()
        looks += 1
    while cells[0] == 0 and looks < LOOKS:
        give_way()
        looks += 1


@compiled
def look_for(cells, helpers):
    """Until so many helpers are done, or for a while."""
    for _ in range(LOOKS):
        if cells[1:].sum() >= helpers:
            return
        give_way()
