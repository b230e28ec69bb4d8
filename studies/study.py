"""Train the networks of the study, fold by fold, except those already in the state folder.

    python studies/study.py state/ plain soft distilled --folds 0 1 2 3 4

For each training, ``state/`` holds the logits of the held-out sources for the 8 rotations and
reflections (``NAME-FOLD-SEED.npz``), the weights (``.pt``) and, during training, checkpoints (one
per tenth of the epochs). ``--folds all`` trains on every source, for the package's embedded model.
``--corrected`` trains on the labels corrected by ``corrections.csv``; use a separate ``state/`` for
it. Training multiplies in bfloat16; ``--float32`` is ten times as fast on processors without
bfloat16 instructions. ``--device cuda`` trains on a GPU, on which several trainings can run in
parallel.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from networks import Compact, Marked, Plain, Pretrained, Symmetric
from runs import RUNS
from sources import SURVEY, load_sources

from shredfinder import Cutouts
from shredfinder.datasets import degrade_cutouts

NETWORKS = {
    "plain": Plain,
    "compact": Compact,
    "pretrained": Pretrained,
    "marked": Marked,
    "symmetric": Symmetric,
}


def main():
    """Train the runs and folds given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("runs", nargs="+", choices=sorted(RUNS))
    parser.add_argument("--folds", nargs="+", default=["0", "1", "2", "3", "4"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--corrected", action="store_true", help="train on corrected labels")
    parser.add_argument("--device", default="cpu", help="PyTorch device")
    parser.add_argument("--float32", action="store_true", help="multiply in full precision")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.state.mkdir(parents=True, exist_ok=True)
    sources = load_sources(args.data, corrected=args.corrected)
    for fold in args.folds:
        for name in args.runs:
            train(
                sources,
                args.state,
                name,
                fold,
                seed=args.seed,
                mixed=not args.float32,
                device=args.device,
            )


def train(sources, state, name, fold, *, seed=0, mixed=True, device="cpu"):
    """Train one network on all folds except one, and score that fold."""
    path = state / f"{name}-{fold}-{seed}.npz"
    if path.exists():
        return
    run = RUNS[name]
    held = np.flatnonzero(sources.fold == int(fold)) if fold != "all" else np.array([], int)
    rows = np.setdiff1d(np.flatnonzero(sources.fold >= 0), held)
    number = 1000 * seed + (99 if fold == "all" else int(fold))
    torch.manual_seed(number)
    # Draw random numbers on the CPU, so that they are the same for every device.
    generator = torch.Generator().manual_seed(number)
    network = NETWORKS[run.network]().to(device, memory_format=torch.channels_last)
    rows, targets = choose_labels(sources, rows, run, number)
    batches = Batches(sources.images[rows].to(device), targets, run, generator, mixed)
    if run.teachers:
        batches.teach(_load_teachers(state, run.teachers, fold, device))
    fit(network, batches, run, generator, path.with_suffix(".ckpt"), f"{name} {fold}")
    weights = {key: value.cpu() for key, value in network.state_dict().items()}
    torch.save(weights, path.with_suffix(".pt"))
    np.savez(path, rows=held, logits=score(network, sources.images[held], device=device))


def choose_labels(sources, rows, run, seed):
    """Select the training sources, and flip labels if the run requires it."""
    rng = np.random.default_rng(seed)
    if run.certain:
        sure = [np.asarray(sources.table[name]) == 3 for name in ("confidence", "confidence2")]
        rows = rows[np.logical_and(*sure)[rows] & sources.agreed[rows]]
    if run.n_labels is not None:
        rows = np.sort(rng.choice(rows, run.n_labels, replace=False))
    targets = sources.targets[run.labels][rows].copy()
    flipped = rng.random(len(rows)) < run.flipped
    targets[flipped] = 1 - targets[flipped]
    return rows, targets


class Batches:
    """Batches of augmented training images and their targets."""

    def __init__(self, images, targets, run, generator, mixed):
        self.images, self.run, self.generator = images, run, generator
        self.mixed = mixed
        self.targets = torch.as_tensor(targets, dtype=torch.float32, device=images.device)
        self.bank = None

    def teach(self, teachers):
        """Augment each source several times and mix the teachers' outputs into the targets."""
        images, targets = [], []
        trust = self.run.trust
        for _ in range(self.run.bank):
            for start in range(0, len(self.images), 64):
                rows = slice(start, start + 64)
                augmented = self._augment(self.images[rows])
                with torch.no_grad(), self.precision():
                    logits = sum(teacher(augmented).float() for teacher in teachers) / len(teachers)
                own = self.targets[rows]
                targets.append(trust * torch.sigmoid(logits) + (1 - trust) * own)
                images.append(self._degrade((augmented * 255).round().to(torch.uint8)))
        self.bank = torch.cat(images), torch.cat(targets)

    def precision(self):
        """Return a context that multiplies in bfloat16, if mixed precision is on."""
        return torch.autocast(self.images.device.type, torch.bfloat16, enabled=self.mixed)

    def __len__(self):
        return len(self.images) // self.run.batch_size

    def epoch(self):
        """Yield the batches of one epoch: each source once, in random order."""
        order = torch.randperm(len(self.images), generator=self.generator)
        for index in range(len(self)):
            rows = order[index * self.run.batch_size : (index + 1) * self.run.batch_size]
            if self.bank is None:
                yield self._augment(self.images[rows]), self.targets[rows]
                continue
            draw = torch.randint(self.run.bank, (len(rows),), generator=self.generator)
            chosen = draw * len(self.images) + rows
            images = self.bank[0][chosen].float() / 255
            yield _rotate(images, self.generator), self.bank[1][chosen]

    def _degrade(self, images):
        """Degrade a random part of the images to the seeing and depth of each survey."""
        if not self.run.surveys:
            return images
        kinds = torch.randint(len(self.run.surveys) + 1, (len(images),), generator=self.generator)
        seed = int(torch.randint(2**31, (1,), generator=self.generator))
        for kind, survey in enumerate(self.run.surveys, start=1):
            rows = torch.nonzero(kinds == kind).ravel()
            degraded = degrade(images[rows].cpu(), survey, random_state=seed + kind)
            images[rows] = degraded.to(images.device)
        return images

    def _augment(self, images):
        images = images.float() / 255
        resampled = _resample(images, self.run.max_scale, self.generator)
        exact = torch.rand(len(images), generator=self.generator) < self.run.unresampled
        images = torch.where(exact[:, None, None, None].to(images.device), images, resampled)
        return _rotate(images, self.generator).contiguous(memory_format=torch.channels_last)


def _rotate(images, generator):
    """Apply a random one of the 8 rotations and reflections to each image."""
    symmetries = torch.randint(8, (len(images),), generator=generator)
    out = torch.empty_like(images)
    for symmetry in range(8):
        chosen = symmetries == symmetry
        out[chosen] = _transform(images[chosen], symmetry)
    return out


def _transform(images, symmetry):
    """Apply one of the 8 rotations and reflections to images; number 0 is the identity."""
    images = torch.rot90(images, symmetry // 2, (2, 3))
    return images.flip(3) if symmetry % 2 else images


def _resample(images, max_scale, generator):
    """Rotate by any angle, scale, and shift by up to one pixel."""
    n, size = len(images), images.shape[-1]
    angle = torch.rand(n, generator=generator) * 2 * np.pi
    scale = torch.exp((torch.rand(n, generator=generator) * 2 - 1) * np.log(max_scale))
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * 2 / size
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(matrix.to(images.device), images.shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def fit(network, batches, run, generator, checkpoint, title):
    """Train with AdamW and a one-cycle learning rate; resume from a checkpoint if present."""
    optimizer = torch.optim.AdamW(network.parameters(), run.rate, weight_decay=run.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, run.rate, total_steps=len(batches) * run.epochs, pct_start=0.25
    )
    parts = {"network": network, "optimizer": optimizer, "cycle": cycle}
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False, map_location="cpu")
        first = saved["epoch"]
        generator.set_state(saved["generator"])
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    start = time.time()
    for epoch in range(first, run.epochs):
        network.train()
        losses = []
        for images, targets in batches.epoch():
            optimizer.zero_grad()
            with batches.precision():
                logits = network(images)
            loss = F.binary_cross_entropy_with_logits(logits.float(), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            cycle.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean().item()
        print(f"{title} {epoch + 1} {mean:.4f} {time.time() - start:.0f} s", flush=True)
        if (epoch + 1) % max(run.epochs // 10, 1) == 0:
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"epoch": epoch + 1, "generator": generator.get_state()}
            temporary = checkpoint.with_suffix(".part")
            torch.save(state, temporary)
            temporary.replace(checkpoint)
    checkpoint.unlink(missing_ok=True)


def score(network, images, n_symmetries=8, device="cpu"):
    """Return the logits of the symmetries of images, shape ``(n, 8)``; the first is unchanged."""
    network.eval()
    logits = np.empty((len(images), n_symmetries), np.float32)
    with torch.no_grad():
        for start in range(0, len(images), 64):
            batch = images[start : start + 64].to(device).float() / 255
            for symmetry in range(n_symmetries):
                transformed = _transform(batch, symmetry).contiguous(
                    memory_format=torch.channels_last
                )
                logits[start : start + 64, symmetry] = network(transformed).cpu().numpy()
    return logits


def degrade(images, survey, *, random_state):
    """Degrade images ``(n, 3, height, width)`` to a survey's seeing and depth."""
    cutouts = Cutouts.of_survey(SURVEY.name, images.permute(0, 2, 3, 1).numpy())
    degraded = degrade_cutouts(cutouts, survey, random_state=random_state)
    return torch.from_numpy(degraded.images).permute(0, 3, 1, 2)


def _load_teachers(state, teachers, fold, device):
    networks = []
    for name, teacher_seed in teachers:
        network = NETWORKS[RUNS[name].network]()
        weights = torch.load(state / f"{name}-{fold}-{teacher_seed}.pt", map_location=device)
        network.load_state_dict(weights)
        networks.append(network.eval().to(device, memory_format=torch.channels_last))
    return networks


if __name__ == "__main__":
    main()
