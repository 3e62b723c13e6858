"""Batches: what is in them, in which order, from how many threads, and what is left behind."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import paint, refusal

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import ArrayDataset, DataLoader, ImageFolder, _loader, augment


class Numbers:
    """A data set of one's own: sample i is ([i, i, i], i), unless ``before(i)`` objects."""

    def __init__(self, n, before=lambda i: None):
        self.n, self.before = n, before

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.before(i)
        return np.full(3, i, np.float32), i


def labels(loader, epoch=0):
    """The labels of an epoch's batches, as lists."""
    return [y.tolist() for _, y in loader.batches(epoch)]


def loading():
    """The threads that loaders have started and that are still there."""
    return [t for t in threading.enumerate() if t.name.startswith(_loader.THREADS)]


def until(condition):
    """Wait until something is so; fail after ten seconds."""
    for _ in range(1000):
        if condition(): return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


@pytest.fixture
def pets(tmp_path):
    """Eleven pictures of two classes."""
    rng = np.random.default_rng(0)
    for k in range(11):
        paint(tmp_path / ("cats" if k < 5 else "dogs") / f"{k}.png",
              tuple(rng.integers(0, 256, 3).tolist()))
    return ImageFolder(tmp_path, 8)


# ---- what is in a batch


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_pictures(pets, workers):
    loader = DataLoader(pets, 4, num_workers=workers)
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    assert [x.shape for x, _ in batches] == [(4, 3, 8, 8), (4, 3, 8, 8), (3, 3, 8, 8)]
    assert all(x.dtype == np.float32 and y.dtype == np.int64 for x, y in batches)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]),
                                  np.stack([x for x, _ in pets]))
    assert np.concatenate([y for _, y in batches]).tolist() == pets.y.tolist()


@given(n=st.integers(1, 30), size=st.integers(1, 35) | st.none(), drop=st.booleans(),
       shuffle=st.booleans())
def test_every_sample_once_and_batches_of_one_size(n, size, drop, shuffle):
    if drop and size and size > n:
        with pytest.raises(DataError): DataLoader(Numbers(n), size, drop_last=drop)
        return
    loader = DataLoader(Numbers(n), size, shuffle, drop, seed=3, num_workers=0)
    got = labels(loader)
    assert len(got) == len(loader)
    sizes = [len(batch) for batch in got]
    assert sizes[:-1] == [size] * (len(sizes) - 1) and 0 < sizes[-1] <= (size or n)
    flat = [i for batch in got for i in batch]
    assert len(set(flat)) == len(flat) == (n // size * size if drop and size else n)
    if not shuffle: assert flat == list(range(len(flat)))


def test_the_whole_as_one_batch(pets):
    (x, y), = DataLoader(pets, None, drop_last=True)
    assert x.shape == (11, 3, 8, 8) and y.tolist() == pets.y.tolist()


def test_samples_of_different_shapes_are_refused():
    class Odd(Numbers):
        def __getitem__(self, i): return np.zeros((3, 4 + i % 2)), i
    with pytest.raises(DataError) as error: next(iter(DataLoader(Odd(9), 4)))
    refusal(error, "must have one shape; got (3, 4) and (3, 5)")
    assert not loading()


# ---- order


def test_an_epoch_is_a_function_of_seed_and_number():
    orders = {(seed, epoch): labels(DataLoader(Numbers(50), 7, True, seed=seed), epoch)
              for seed in (0, 1, 2 ** 64 - 1) for epoch in (0, 1, 9)}
    assert len({str(order) for order in orders.values()}) == 9
    for (seed, epoch), order in orders.items():
        assert labels(DataLoader(Numbers(50), 7, True, seed=seed), epoch) == order


def test_the_place_of_a_sample_does_not_depend_on_the_others():
    (small,), (large,) = (labels(DataLoader(Numbers(n), None, True, seed=4)) for n in (60, 90))
    assert [i for i in large if i < 60] == small


def test_an_order_is_fair():
    loader = DataLoader(Numbers(10), None, True, num_workers=0)
    places = np.array([labels(loader, epoch)[0] for epoch in range(3000)])
    for place in range(10):
        counts = np.bincount(places[:, place], minlength=10)
        assert abs(counts - 300).max() < 6 * np.sqrt(300)


def test_each_loop_is_the_next_epoch_and_a_run_can_go_on_at_any():
    loader = DataLoader(Numbers(20), 6, shuffle=True)
    looped = [[y.tolist() for _, y in loader] for _ in range(3)]
    assert looped == [labels(loader, epoch) for epoch in range(3)] and loader.epoch == 3
    again = DataLoader(Numbers(20), 6, shuffle=True)
    again.epoch = 1
    assert [[y.tolist() for _, y in again] for _ in range(2)] == looped[1:]
    for start in range(6):
        assert [y.tolist() for _, y in again.batches(2, start)] == looped[2][start:]


def test_what_comes_before_the_start_is_not_loaded():
    asked = []
    loader = DataLoader(Numbers(20, asked.append), 6, num_workers=0)
    assert [y.tolist() for _, y in loader.batches(0, start=2)] == [[*range(12, 18)], [18, 19]]
    assert asked == list(range(12, 20))


# ---- the draws of a sample


CHANGES = augment.Compose([
    augment.RandomHorizontalFlip(), augment.RandomAffine(20, (0.2, 0.2), (0.8, 1.2), 5),
    augment.RandomResizedCrop(6, (0.5, 1.0)), augment.ColorJitter(0.2, 0.2, 0.2, 0.1)])


def augmented(pets, epoch=0, seed=5, batch_size=4, **options):
    """{label: what the loader made of that sample}."""
    loader = DataLoader(pets, batch_size, seed=seed, augment=CHANGES, **options)
    return {label: x for xs, y in loader.batches(epoch)
            for x, label in zip(xs, y.tolist(), strict=True)}


def test_a_draw_depends_on_seed_epoch_and_index_alone(pets):
    pets.y = np.arange(11)                             # the label says which sample it is
    want = augmented(pets, num_workers=0)
    assert want[0].shape == (3, 6, 6) and want[0].dtype == np.float32
    for options in ({"num_workers": 1}, {"num_workers": 2}, {"num_workers": 7},
                    {"shuffle": True}, {"batch_size": 1}, {"batch_size": None}):
        got = augmented(pets, **options)
        for i in range(11): np.testing.assert_array_equal(got[i], want[i])
    for other in (augmented(pets, epoch=1), augmented(pets, seed=6)):
        assert all((other[i] != want[i]).any() for i in range(11))


def test_each_sample_has_a_draw_of_its_own():
    same = np.repeat(np.random.default_rng(0).random((1, 3, 8, 8), np.float32), 12, axis=0)
    for shuffle in (False, True):
        (x, _), = DataLoader(ArrayDataset(same, np.zeros(12)), None, shuffle, augment=CHANGES)
        assert len({sample.tobytes() for sample in x}) == 12


def test_arrays_are_augmented_like_pictures(pets):
    whole = np.stack([x for x, _ in pets])
    bytes_ = (whole * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    want = list(DataLoader(pets, 4, True, augment=CHANGES))
    for data in (ArrayDataset(whole, pets.y), ArrayDataset(bytes_, pets.y)):
        got = list(DataLoader(data, 4, True, augment=CHANGES))
        for (x, y), (u, t) in zip(got, want, strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, t)
    assert (whole == np.stack([x for x, _ in pets])).all()      # nothing was written to


def test_the_numbers_of_two_samples_and_of_the_order_have_nothing_in_common():
    draw = lambda *key: np.random.Generator(_loader._philox(*key)).random(1000)
    keys = [(0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 1, 1), (0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 1, 1)]
    together = np.corrcoef([draw(*key) for key in keys])
    assert abs(together - np.eye(6)).max() < 0.15
    across = np.array([draw(0, 0, 1, i)[0] for i in range(1000)])      # each sample's first
    assert abs(np.corrcoef(across[:-1], across[1:])[0, 1]) < 0.15
    assert abs(across.mean() - 0.5) < 0.05 and abs(across.std() - 12 ** -0.5) < 0.03


# ---- threads: bounded, and gone when the consumer is


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_is_prepared_than_a_few_batches(workers):
    asked = []
    batches = DataLoader(Numbers(10_000, asked.append), 20, num_workers=workers).batches(0)
    for k in range(1, 4):
        next(batches)
        until(lambda k=k: len(asked) == 20 * (k + workers))
        assert len(loading()) <= workers
    time.sleep(0.05)
    assert len(asked) == 20 * (3 + workers)
    batches.close()
    assert not loading()


def test_nothing_starts_before_the_first_batch_is_asked_for():
    asked = []
    batches = DataLoader(Numbers(100, asked.append), 10).batches(0)
    assert not asked and not loading()
    del batches


class Stop(Exception):
    pass


def leave_by_break(loader):
    for _ in loader: break


def leave_by_exception(loader):
    with pytest.raises(Stop):
        for _ in loader: raise Stop


def leave_by_return(loader):
    return next(iter(loader))


def leave_by_end(loader):
    for _ in loader: pass


def leave_by_cycle(loader):
    holder = [iter(loader)]
    next(holder[0])
    holder.append(holder)
    del holder
    gc.collect()


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_exception, leave_by_return,
                                   leave_by_end, leave_by_cycle])
def test_no_thread_is_left(pets, leave):
    for data in (pets, Numbers(1000)):
        leave(DataLoader(data, 2, num_workers=3))
        assert not loading()


def test_threads_end_soon_even_in_a_large_batch(monkeypatch):
    asked, under_way, go_on = [], threading.Event(), threading.Event()

    class Pool(_loader.ThreadPoolExecutor):
        def shutdown(self, wait, cancel_futures):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            go_on.set()
            super().shutdown(wait=wait)

    def before(i):
        asked.append(i)
        if i >= 1000:
            under_way.set()
            assert go_on.wait(10)
    monkeypatch.setattr(_loader, "ThreadPoolExecutor", Pool)
    batches = DataLoader(Numbers(100_000, before), 1000, num_workers=1).batches(0)
    next(batches)
    assert under_way.wait(10)
    batches.close()                                    # waits for that piece, and no other
    assert not loading() and len(asked) == 1000 + _loader.PIECE <= 1016


def test_a_loader_may_be_collected_in_a_thread_of_its_own():
    dropped, collected = threading.Event(), threading.Event()

    def before(i):
        if i >= 8:
            assert dropped.wait(10)
            gc.collect()
            collected.set()
    holder = [iter(DataLoader(Numbers(1000, before), 8, num_workers=1))]
    gc.disable()
    try:
        next(holder[0])
        holder.append(holder)
        del holder
        dropped.set()
        assert collected.wait(10)
        until(lambda: not loading())
    finally:
        gc.enable()


def test_loaders_side_by_side():
    loader = DataLoader(Numbers(30), 7, True, num_workers=2)
    pairs = list(zip(loader.batches(0), loader.batches(1), loader.batches(0), strict=True))
    assert [a[1].tolist() for a, _, _ in pairs] == labels(loader, 0)
    assert [b[1].tolist() for _, b, _ in pairs] == labels(loader, 1)
    assert all((a[0] == c[0]).all() for a, _, c in pairs) and not loading()


def test_a_process_ends_with_a_loader_half_way():
    code = ("import numpy as np\nfrom tinygrad_nn.data import DataLoader\n"
            "class D:\n    __len__ = lambda s: 10**6\n"
            "    __getitem__ = lambda s, i: (np.zeros(3), i)\n"
            "batches = iter(DataLoader(D(), 32))\nprint(next(batches)[0].shape)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(32, 3)\n", "")


# ---- what goes wrong in a thread is raised where the batch is asked for


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_unreadable_picture_is_raised_with_its_path(pets, workers):
    bad = pets.paths[6]
    bad.write_bytes(b"no picture")
    batches = DataLoader(pets, 3, num_workers=workers).batches(0)
    assert [len(next(batches)[1]) for _ in range(2)] == [3, 3]      # those before it are whole
    with pytest.raises(DataError) as error: next(batches)
    refusal(error, "cannot read the picture", "a format that Pillow knows", path=bad)
    assert not loading()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_of_a_data_set_of_ones_own_keeps_its_type(workers):
    def before(i):
        if i == 17: raise KeyError("seventeen")
    with pytest.raises(KeyError, match="seventeen"):
        labels(DataLoader(Numbers(40, before), 4, num_workers=workers))
    assert not loading()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_augmentation_says_on_what(pets, workers):
    def fussy(x, rng): raise ZeroDivisionError("no such luck")
    with pytest.raises(DataError) as error:
        next(iter(DataLoader(pets, 4, augment=fussy, num_workers=workers)))
    refusal(error, f"augment failed on sample 0 ({pets.paths[0]})",
            "ZeroDivisionError: no such luck", path=pets.paths[0])
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(DataError, match=r"augment failed on sample 0: DataError: RandomHor"):
        next(iter(DataLoader(Numbers(4), augment=CHANGES, num_workers=workers)))


# ---- arguments


def test_a_loader_without_a_batch_is_refused(pets):
    with pytest.raises(DataError, match="the data set is empty"): DataLoader(Numbers(0))
    with pytest.raises(DataError) as error: DataLoader(pets, 12, drop_last=True)
    refusal(error, "11 samples", "drop_last leaves no batch of 12", "make the batches smaller")
    assert len(DataLoader(pets, 12)) == len(DataLoader(pets, 11, drop_last=True)) == 1


@pytest.mark.parametrize(("options", "kind", "said"), [
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number, got 2.0"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"seed": 2 ** 64}, ValueError, "seed must be below 2 \\*\\* 64"),
    ({"seed": None}, TypeError, "seed must be a whole number, got None"),
    ({"num_workers": -1}, ValueError, "num_workers must be at least 0"),
])
def test_arguments_are_checked(options, kind, said):
    with pytest.raises(kind, match=said): DataLoader(Numbers(5), **options)
    for name, numbers in (("epoch", (-1,)), ("start", (0, -1))):
        with pytest.raises(ValueError, match=f"{name} must be at least 0"):
            DataLoader(Numbers(5)).batches(*numbers)


def test_a_loader_says_what_it_is():
    loader = DataLoader(ArrayDataset(np.zeros((5, 2)), np.zeros(5)), 2, augment=CHANGES)
    assert repr(loader) == (
        "DataLoader(ArrayDataset(x float64 (5, 2), y float64 (5,)), batch_size=2, "
        "shuffle=False, drop_last=False, seed=0, augment=Compose([RandomHorizontalFlip(p=0.5), "
        "RandomAffine(degrees=(-20, 20), translate=(0.2, 0.2), scale=(0.8, 1.2), "
        "shear=(-5, 5), fill='nearest'), RandomResizedCrop(size=6, scale=(0.5, 1.0), "
        "ratio=(0.75, 1.3333333333333333)), ColorJitter(brightness=(0.8, 1.2), "
        "contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.1, 0.1))]))")
