import pytest

from shredfinder import ShredClassifier
from shredfinder.models import build_network, import_keras
from tests.conftest import needs_backend

pytestmark = needs_backend

# Shapes derived by hand from the description of the network in arXiv 2301.09648.
PUBLISHED_SHAPES = [
    ("Conv2D", (128, 128, 32)),
    ("Conv2D", (126, 126, 32)),
    ("MaxPooling2D", (63, 63, 32)),
    ("Dropout", (63, 63, 32)),
    ("Conv2D", (63, 63, 64)),
    ("Conv2D", (61, 61, 64)),
    ("MaxPooling2D", (30, 30, 64)),
    ("Dropout", (30, 30, 64)),
    ("Conv2D", (30, 30, 128)),
    ("Conv2D", (28, 28, 128)),
    ("MaxPooling2D", (14, 14, 128)),
    ("Dropout", (14, 14, 128)),
    ("Conv2D", (14, 14, 512)),
    ("Conv2D", (10, 10, 512)),
    ("MaxPooling2D", (2, 2, 512)),
    ("Dropout", (2, 2, 512)),
    ("Flatten", (2048,)),
    ("Dense", (1024,)),
    ("Dropout", (1024,)),
    ("Dense", (2,)),
]


def build(architecture, shape):
    import_keras()
    return build_network(architecture, shape)


def test_the_published_network_matches_the_paper():
    network = build("published", (128, 128, 3))
    layers = [(type(layer).__name__, tuple(layer.output.shape[1:])) for layer in network.layers[1:]]
    assert layers == PUBLISHED_SHAPES
    assert network.count_params() == 10_580_258
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.kernel_size[0] for layer in convolutions] == [3] * 6 + [5] * 2
    assert [layer.padding for layer in convolutions] == ["same", "valid"] * 4
    dropouts = [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"]
    assert dropouts == [0.2] * 5
    activations = [
        layer.activation.__name__ for layer in network.layers if hasattr(layer, "kernel")
    ]
    assert activations == ["relu"] * 9 + ["softmax"]


def test_the_classifier_counts_parameters_before_it_is_fitted():
    assert ShredClassifier("published").n_parameters == 10_580_258


@pytest.mark.parametrize("n_bands", [1, 3, 5])
def test_the_compact_network_accepts_any_number_of_bands(n_bands):
    network = build("compact", (64, 64, n_bands))
    assert network.output_shape == (None, 2)
    assert build("compact", (128, 128, 3)).count_params() < 10_580_258 / 5


def test_invalid_sizes_and_names():
    with pytest.raises(ValueError, match="multiples of 16 px, got 100×100"):
        build("compact", (100, 100, 3))
    with pytest.raises(ValueError, match="unknown architecture 'resnet'"):
        build("resnet", (128, 128, 3))
