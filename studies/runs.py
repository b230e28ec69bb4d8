"""What the study tries: a name and the settings of each training."""

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
        Of the training, by AdamW in one cycle.
    max_scale, unresampled
        Of the augmentation, see `shredfinder.training.augment_image`.
    teachers : tuple
        Runs and seeds of the networks whose mean answer is learnt, instead of the labels alone.
    trust : float
        Weight of the teachers' answer against the labels'.
    bank : int
        Number of views of each source that the teachers are asked about.
    surveys : tuple
        Surveys by whose seeing and depth the views are degraded that the network learns from, in
        equal parts with views as they are; the teachers are asked about the latter alone.
    n_labels : int or None
        Train on so many sources, chosen at random; by default on all.
    certain : bool
        Train only on sources of whose label both raters were certain.
    flipped : float
        Share of the sources whose label is turned into the other before the training.
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
    # What the issue compares with: full resolution everywhere, hard labels.
    "plain": Run("plain", "hard", 40, 32, 1e-3, 0.01, 1.1, 1.0),
    # The package's first recipe, and one change after the other.
    "first": Run(labels="hard", epochs=30, max_scale=1.15, unresampled=0.0),
    "soft": Run(),
    "pretrained": Run("pretrained", epochs=12, batch_size=32, rate=1e-3),
    "marked": Run("marked"),
    "symmetric": Run("symmetric"),
    "distilled": Run(epochs=120, teachers=_TEACHERS),
    "distilled-six": Run(epochs=120, teachers=_SIX),
    # For images poorer than the Legacy Surveys'.
    "robust": Run(epochs=120, teachers=_TEACHERS, surveys=("sdss-dr17", "ps1-dr2")),
    # How much the number and the quality of labels matter. Fewer sources are seen more often, up
    # to four times, so that it is the labels and not the steps that are too few.
    "labels-160": Run(epochs=360, n_labels=160),
    "labels-320": Run(epochs=360, n_labels=320),
    "labels-640": Run(epochs=360, n_labels=640),
    "labels-1280": Run(epochs=180, n_labels=1280),
    "certain": Run(epochs=180, certain=True),
    "flipped-05": Run(labels="hard", flipped=0.05),
    "flipped-20": Run(labels="hard", flipped=0.20),
    "hard": Run(labels="hard"),
}
