"""Measure how slicing cutouts from shared images changes ``p_cnn`` on simulated fields.

Run ``python benchmarks/shared_images.py`` in the repository root. Each source is scored twice: on
an image centred on it, and on a slice of an image shared with its neighbours. Both are
JPEG-compressed, as the viewer's are.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord

sys.path.insert(0, str(Path(__file__).parents[1]))

from shredfinder import ShredClassifier
from shredfinder.cutouts import CutoutService, LocalImages, fetch_cutouts
from shredfinder.datasets import make_field


class FieldViewer(CutoutService):
    """Emulate the viewer with a simulated field."""

    name = "field"
    remote = False
    groups = True
    max_size = 3000
    bands = ("z", "r", "g")
    color_mapping = "legacy-grz"

    def __init__(self, field):
        images = {b: (f, field.wcs) for b, f in zip(field.bands, field.fluxes, strict=True)}
        # The field's values are nanomaggies per native pixel of the survey at any pixel scale.
        self._local = LocalImages(images, flux_scale=1)
        self.n_requests = 0

    def fetch(self, request, client):
        """Make a cutout, compressed and decompressed as the viewer's."""
        self.n_requests += 1
        return self._local.fetch(request)


def main():
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=4)
    options = parser.parse_args()
    classifier = ShredClassifier.load()
    all_scores, n_requests = [], [0, 0]
    for seed in range(options.fields):
        field = make_field(random_state=seed)
        coords = SkyCoord(field.sources["ra"], field.sources["dec"], unit="deg")
        scores = []
        for group in (False, True):
            viewer = FieldViewer(field)
            cutouts = fetch_cutouts(coords, service=viewer, group=group, progress=False)
            n_requests[group] += viewer.n_requests
            scores.append(classifier.predict_p_cnn(cutouts)[0])
        all_scores.append(np.array(scores))
    scores = np.concatenate(all_scores, axis=1)
    scores = scores[:, np.isfinite(scores).all(axis=0)]
    differences = np.abs(scores[1] - scores[0])
    n_changed = np.count_nonzero((scores[0] < 0.5) != (scores[1] < 0.5))
    low, high = np.quantile(scores[0], [0.05, 0.95])
    print(f"{len(differences)} sources in {options.fields} fields")
    print(f"requests: {n_requests[0]} one by one, {n_requests[1]} shared")
    print(f"p_cnn: from {low:.3f} to {high:.3f} (5 % and 95 %)")
    print(
        f"|Δ p_cnn|: mean {differences.mean():.4f}, median {np.median(differences):.4f}, "
        f"99 % {np.quantile(differences, 0.99):.4f}, largest {differences.max():.4f}"
    )
    print(f"classified differently at 0.5: {n_changed}")


if __name__ == "__main__":
    main()
