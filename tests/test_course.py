"""The course's published costs come out, on the course's own files (real data)."""

import os

import cat_classifier
import numpy as np
import pytest

PUBLISHED = [
    "0.771749", "0.672053", "0.648263", "0.611507", "0.567047", "0.540138", "0.527930",
    "0.465477", "0.369126", "0.391747", "0.315187", "0.272700", "0.237419", "0.199601",
    "0.189263", "0.161189", "0.148214", "0.137775", "0.129740", "0.121225", "0.113821",
    "0.107839", "0.102855", "0.100897", "0.092878"]
EXACT = {0: 0.7717493284237686, 100: 0.6720534400822914, 2400: 0.09287821526472398,
         2499: 0.08843994344170202}


def test_published_costs(real_data):
    pytest.importorskip("h5py")
    iterations = int(os.environ.get("TINYGRAD_NN_COURSE_ITERATIONS", "300"))
    lines = []
    costs, train, test = cat_classifier.course(real_data / "catvnoncat", iterations,
                                               print=lines.append)
    hundreds = range(0, iterations, 100)
    assert lines[:len(hundreds)] == [f"Cost after iteration {i}: {PUBLISHED[i // 100]}"
                                     for i in hundreds]
    assert lines[len(hundreds)].startswith(f"Cost after iteration {iterations - 1}: ")
    for i, cost in EXACT.items():
        if i < iterations:
            np.testing.assert_allclose(costs[i], cost, rtol=1e-9)
    if iterations == 2500:
        assert (train, test) == (206, 40)
        assert "Accuracy on the training images: 0.9856" in "\n".join(lines)
