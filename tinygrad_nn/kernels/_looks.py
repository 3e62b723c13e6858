"""Looking out for work, and for its end, without the interpreter's lock, compiled by numba.

Whoever looks out gives way to other threads that want its processor each time, and after a
while gives up and sleeps. See `_threads`.
"""

from ._numba import compiled, give_way

LOOKS = 500                     # of 0.5 us each


@compiled
def look_out(counter, ended, me, worked):
    """A helper is done, if it has ``worked``, and looks out for the first item to be taken of
    the next work: then the interpreter's lock is free, for which one might have to sleep."""
    ended[me] = worked
    looks = 0
    while counter[0] > 0 and looks < LOOKS:         # the work that is done
        give_way()
        looks += 1
    while counter[0] == 0 and looks < LOOKS:
        give_way()
        looks += 1


@compiled
def look_for(ended, helpers):
    """Until so many helpers are done, or for a while."""
    for _ in range(LOOKS):
        if ended.sum() >= helpers:
            return
        give_way()
