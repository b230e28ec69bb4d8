"""What the study tries: a name and the settings of each training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """Settings of a training.

    Attributes
    ----------
    network : str
        ``plain``, ``compact`` or ``pretrained``.
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


_TEACHERS = (("soft", 0), ("pretrained", 0))

RUNS = {
    # What the issue compares with: full resolution everywhere, hard labels.
    "plain": Run("plain", "hard", 40, 32, 1e-3, 0.01, 1.1, 1.0),
    # The package's first recipe, and one change after the other.
    "first": Run(labels="hard", epochs=30, max_scale=1.15, unresampled=0.0),
    "soft": Run(),
    "pretrained": Run("pretrained", epochs=12, batch_size=32, rate=1e-3),
    "distilled": Run(epochs=120, teachers=_TEACHERS),
    # For images poorer than the Legacy Surveys'.
    "robust": Run(epochs=120, teachers=_TEACHERS, surveys=("sdss-dr17", "ps1-dr2")),
}
