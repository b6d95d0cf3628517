"""What a trace says of its chains."""

import numpy as np

from dotbias.trace import effective_size, r_hat


def test_effective_size_and_r_hat():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 4000))
    assert 12_000 < effective_size(noise) < 21_000 and abs(r_hat(noise) - 1) < 0.01
    slow = np.zeros_like(noise)
    for t in range(1, 4000):
        slow[:, t] = 0.9 * slow[:, t - 1] + noise[:, t]
    assert 500 < effective_size(slow) < 1300  # 16,000 · (1 - 0.9) / (1 + 0.9) = 842
    assert r_hat(noise + np.arange(4)[:, None]) > 1.5
