"""The labelled sources: images, folds and targets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from PIL import Image

from shredfinder import Cutouts
from shredfinder.evaluation import make_folds
from shredfinder.labelling import apply_corrections
from shredfinder.surveys import get_survey
from shredfinder.training import combine_raters, encode_labels

SURVEY = get_survey("legacy-dr9")
CORRECTIONS = Path(__file__).with_name("corrections.csv")


@dataclass
class Sources:
    """Training and test data of the study."""

    table: Table
    images: torch.Tensor
    fold: np.ndarray
    agreed: np.ndarray
    targets: dict

    @property
    def shred(self):
        """Whether the final label of each source is shred."""
        return self.targets["hard"] == 1

    def cutouts(self, rows):
        """Return the images of the selected sources as `Cutouts`."""
        return Cutouts(
            self.images[rows].permute(0, 2, 3, 1).numpy(),
            bands=SURVEY.bands,
            pixel_scale=SURVEY.pixel_scale,
            color_mapping=SURVEY.color_mapping,
        )


def load_sources(folder, images=True, corrected=False):
    """Read the labels, optionally corrected, and optionally the images."""
    table = Table.read(folder / "labels.ecsv")
    hard = encode_labels(table["final"])
    disputed = np.asarray(table["consensus"]) == "disputed"
    # The third label of disputed sources counts as one more rater with the confidence of a guess.
    third = np.ma.array(np.asarray(table["final"]), mask=~disputed)
    soft = combine_raters(
        [table["label"], table["label2"], third],
        [table["confidence"], table["confidence2"], np.ones(len(table), int)],
    )
    # Make the folds from the original labels, so that corrections do not change them.
    fold = make_folds(hard, np.asarray(table["sky_group"]), n_splits=5, random_state=0)
    if corrected:
        label = apply_corrections(table, Table.read(CORRECTIONS))
        changed = np.asarray(label != table["final"])
        hard = encode_labels(label)
        # The corrected label replaces the others, with the confidence "likely".
        soft[changed] = combine_raters([label[changed]], [np.full(changed.sum(), 2)])
    pixels = torch.empty(0)
    if images:
        paths = [folder / "cutouts" / f"{name}.png" for name in table["objID"]]
        pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
        pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return Sources(
        table=table,
        images=pixels,
        fold=fold,
        agreed=~disputed & np.isfinite(hard),
        targets={
            "hard": hard,
            "soft": np.where(np.isfinite(hard), soft, np.nan),
        },
    )
