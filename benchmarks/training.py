"""Speed of ``ShredClassifier.fit`` on each installed backend, beside a plain PyTorch loop.

    OMP_NUM_THREADS=1 python benchmarks/training.py

CPU time counts, not elapsed time, so that other load matters less. The first epoch, in which
networks are compiled and images with variants are made, is left out. The ways are timed in turn,
round by round; medians are printed, and their ratio to the plain loop.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time

import numpy as np

SHAPE = (128, 128, 3)
BATCH = 64


def main():
    """Print images per CPU-second of the plain loop and of each backend and recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256, help="number of images (256)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that are timed (3)")
    parser.add_argument("--recipes", nargs="+", default=["compact", "catalogue"], help="recipes")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (3)")
    parser.add_argument("--only", help="measure one way in this process: plain, or a backend")
    options = parser.parse_args()
    if options.only == "plain":
        print("plain PyTorch loop", time_plain(options.epochs * options.images), sep="\t")
    elif options.only:
        for recipe in options.recipes:
            speed = time_fit(recipe, options.images, options.epochs)
            print(f"fit, {recipe!r}, Keras on {options.only}", speed, sep="\t")
    else:
        installed = [n for n in ("torch", "jax", "tensorflow") if importlib.util.find_spec(n)]
        speeds = {}
        for _ in range(options.rounds):
            for way in (["plain"] if "torch" in installed else []) + installed:
                for name, speed in measure(way):
                    speeds.setdefault(name, []).append(speed)
        plain = np.median(speeds.get("plain PyTorch loop", np.nan))
        print(f"{'images per CPU-second':<34}{'median':>8}{'range':>11}{'of plain':>10}")
        for name, values in speeds.items():
            spread = f"{min(values):.0f}–{max(values):.0f}"
            middle = np.median(values)
            print(f"{name:<34}{middle:8.0f}{spread:>11}{middle / plain:10.2f}")


def measure(way):
    """Run one way in a process of its own; return names and images per CPU-second."""
    # Keras chooses its backend once in a process.
    environment = os.environ | ({} if way == "plain" else {"KERAS_BACKEND": way})
    command = [sys.executable, *sys.argv, "--only", way]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    lines = [line.split("\t") for line in output.stdout.splitlines() if "\t" in line]
    return [(name, float(speed)) for name, speed in lines]


def time_fit(recipe, n_images, n_epochs):
    """Return the images per CPU-second that the package trains on."""
    from shredfinder import Cutouts, ShredClassifier
    from shredfinder.training import import_keras

    rng = np.random.default_rng(0)
    # Smooth images with noise: augmentations measure sizes and noise.
    y, x = np.indices(SHAPE[:2]) - 64
    blob = np.exp(-(x**2 + y**2) / 200)[..., None]
    images = blob * rng.uniform(60, 180, (n_images, 1, 1, 3))
    images = np.clip(images + rng.normal(30, 4, (n_images, *SHAPE)), 0, 255).astype(np.uint8)
    cutouts = Cutouts.of_survey("legacy-dr9", images)
    seconds = []
    fit_once = import_keras().Model.fit

    # The package calls Keras's fit once per epoch.
    def fit_timed(*args, **kwargs):
        start = time.process_time()
        history = fit_once(*args, **kwargs)
        seconds.append(time.process_time() - start)
        return history

    import_keras().Model.fit = fit_timed
    try:
        ShredClassifier("compact", survey="legacy-dr9", random_state=1).fit(
            cutouts,
            np.arange(n_images) % 2,
            recipe=_with_one_variant(recipe),
            epochs=1 + n_epochs,
            batch_size=BATCH,
            progress=False,
        )
    finally:
        import_keras().Model.fit = fit_once
    # The first epoch compiles.
    return n_images // BATCH * BATCH / np.median(seconds[1:])


def _with_one_variant(name):
    """Return a recipe that makes all its images in the first epoch, if it has variants."""
    from dataclasses import replace

    from shredfinder.training import RECIPES

    recipe = RECIPES[name]
    if not recipe.augmentation.variants:
        return recipe
    return replace(recipe, augmentation=replace(recipe.augmentation, variants=1))


def time_plain(n_images):
    """Return the images per CPU-second of a loop in PyTorch alone, on one prepared batch."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            layers, before = [], 9
            for width, is_pooled in ((32, True), (64, True), (128, False)):
                for n_inputs in (before, width):
                    layers.append(nn.Conv2d(n_inputs, width, 3, padding=1, bias=False))
                    layers += [nn.BatchNorm2d(width), nn.ReLU()]
                layers += [nn.MaxPool2d(2)] * is_pooled
                before = width
            self.body = nn.Sequential(*layers)
            head = [nn.Dropout(0.3), nn.Linear(384, 64), nn.ReLU(), nn.Linear(64, 2)]
            self.head = nn.Sequential(*head)

        def forward(self, x):
            middle = functional.avg_pool2d(x[:, :, 32:96, 32:96], 2)
            x = torch.cat([x[:, :, 48:80, 48:80], middle, functional.avg_pool2d(x, 4)], 1)
            x = self.body(x)
            pooled = [x.mean((2, 3)), x.amax((2, 3)), x[:, :, 3:5, 3:5].mean((2, 3))]
            return self.head(torch.cat(pooled, 1))

    network = Network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters())
    images = torch.rand(BATCH, *SHAPE).permute(0, 3, 1, 2)
    targets = torch.randint(0, 2, (BATCH,))

    def step():
        loss = functional.cross_entropy(network(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    step()
    start = time.process_time()
    for _ in range(n_images // BATCH):
        step()
    return n_images // BATCH * BATCH / (time.process_time() - start)


if __name__ == "__main__":
    main()
