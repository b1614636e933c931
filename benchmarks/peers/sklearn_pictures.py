"""Write scikit-learn's digits and its two photographs, which it brings with it.

python sklearn_pictures.py OUT.npz

`digits` is (1797, 8, 8), of the levels 0 to 16; `photographs` is (2, 427, 640, 3), of bytes.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits, load_sample_images

digits = load_digits().images.astype(np.uint8)
photographs = np.stack(load_sample_images().images)
np.savez(sys.argv[1], digits=digits, photographs=photographs)
