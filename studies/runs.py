"""Names and settings of the trainings in the study."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """Settings of a training.

    Attributes
    ----------
    network : str
        A network of ``networks.py``: ``plain``, ``compact``, ``pretrained`` and others.
    labels : str
        ``hard``: the final labels; ``soft``: the raters' labels by their confidences.
    epochs, batch_size, rate, weight_decay
        Settings of AdamW with a one-cycle learning rate.
    max_scale, unresampled
        Settings of the augmentation, see `shredfinder.training.augment_image`.
    teachers : tuple
        Runs and seeds of the networks whose mean output is learned in addition to the labels.
    trust : float
        Weight of the teachers' output; the labels have the rest.
    bank : int
        Number of augmented images of each source that the teachers evaluate.
    surveys : tuple
        Surveys to whose seeing and depth training images are degraded, in equal parts with
        original images. The teachers evaluate original images only.
    n_labels : int or None
        Number of randomly selected training sources; by default all.
    certain : bool
        Train only on sources for which both raters were certain.
    flipped : float
        Fraction of the sources whose label is flipped before training.
    """

    network: str = "compact"
    labels: str = "soft"
    epochs: int = 90
    batch_size: int = 64
    rate: float = 3e-3
    weight_decay: float = 0.05
    max_scale: float = 1.2
    unresampled: float = 0.5
    teachers: tuple = ()
    trust: float = 0.7
    bank: int = 16
    surveys: tuple = ()
    n_labels: int | None = None
    certain: bool = False
    flipped: float = 0.0


_TEACHERS = (("soft", 0), ("pretrained", 0))
_SIX = tuple((name, seed) for name in ("soft", "pretrained") for seed in range(3))

RUNS = {
    # Baseline: full resolution everywhere, hard labels.
    "plain": Run("plain", "hard", 40, 32, 1e-3, 0.01, 1.1, 1.0),
    # The package's first recipe, and its changes one by one.
    "first": Run(labels="hard", epochs=30, max_scale=1.15, unresampled=0.0),
    "soft": Run(),
    "pretrained": Run("pretrained", epochs=12, batch_size=32, rate=1e-3),
    "marked": Run("marked"),
    "symmetric": Run("symmetric"),
    "distilled": Run(epochs=120, teachers=_TEACHERS),
    "distilled-six": Run(epochs=120, teachers=_SIX),
    # For images with poorer seeing or depth than the Legacy Surveys.
    "robust": Run(epochs=120, teachers=_TEACHERS, surveys=("sdss-dr17", "ps1-dr2")),
    # Number and quality of labels. Runs with fewer sources have more epochs, up to four times as
    # many, so that the number of labels limits them and not the number of steps.
    "labels-160": Run(epochs=360, n_labels=160),
    "labels-320": Run(epochs=360, n_labels=320),
    "labels-640": Run(epochs=360, n_labels=640),
    "labels-1280": Run(epochs=180, n_labels=1280),
    "certain": Run(epochs=180, certain=True),
    "flipped-05": Run(labels="hard", flipped=0.05),
    "flipped-20": Run(labels="hard", flipped=0.20),
    "hard": Run(labels="hard"),
}
