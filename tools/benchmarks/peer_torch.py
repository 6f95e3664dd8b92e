"""The reference VAE in PyTorch: a program for the Python of an environment with torch.

    PYTHON peer_torch.py < SETTINGS

SETTINGS is a JSON object of `peer_cases.settings`; what was measured is printed as one.
It needs torch alone, and nothing of this package. A step is written as PyTorch's
documentation has it: autocast, fused Adam, gradients set to None. Both layouts of maps
are tried, and the faster one counts.
"""

import json
import math
import os
import re
import sys
import time

import torch
from torch import nn
from torch.nn import functional

_SLOPE = 0.3


def _peak_mb() -> float:
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) * 1024 / 1e6


def _normalized(layer: nn.Module, channels: int) -> list[nn.Module]:
    norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
    return [layer, norm, nn.LeakyReLU(_SLOPE)]


def _encoder(settings: dict) -> nn.Sequential:
    height, width, channels = settings["image_shape"]
    parts = []
    for filters, size, stride in settings["levels"]:
        layer = nn.Conv2d(channels, filters, size, stride, (size - 1) // 2)
        parts += _normalized(layer, filters)
        channels = filters
    flat = channels * height * width // settings["shrinks_by"] ** 2
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(flat, 2 * settings["z_dim"]))


def _enlarging(
    settings: dict, inputs: int, outputs: int, size: int, stride: int
) -> nn.Module:
    margin = (size - 1) // 2
    if settings["decoder"] == "conv2d_transpose":
        more = stride - size + 2 * margin
        return nn.ConvTranspose2d(inputs, outputs, size, stride, margin, more)
    upsampling = nn.Upsample(scale_factor=stride)
    return nn.Sequential(upsampling, nn.Conv2d(inputs, outputs, size, 1, "same"))


def _decoder(settings: dict) -> nn.Sequential:
    height, width, image_channels = settings["image_shape"]
    channels = settings["levels"][-1][0]
    smallest = (channels, *(n // settings["shrinks_by"] for n in (height, width)))
    dense = nn.Linear(settings["z_dim"], math.prod(smallest))
    parts = [dense, nn.Unflatten(1, smallest)]
    *others, (_, size, stride) = settings["levels"][::-1]
    for (_, *how), filters in zip(others, settings["decoder_filters"], strict=True):
        layer = _enlarging(settings, channels, filters, *how)
        parts += _normalized(layer, filters)
        channels = filters
    return nn.Sequential(
        *parts, _enlarging(settings, channels, image_channels, size, stride)
    )


class _VAE(nn.Module):
    """Returns the loss of a batch uint8 [B, C, H, W]."""

    def __init__(self, settings: dict):
        super().__init__()
        self.encoder = _encoder(settings)
        self.decoder = _decoder(settings)
        self.fact = settings["fact"]

    def forward(self, images):
        images = images.float() / 255
        z_mean, z_log_var = self.encoder(images).float().chunk(2, 1)
        z = z_mean + torch.exp(z_log_var / 2) * torch.randn_like(z_mean)
        logits = self.decoder(z).float()
        errors = functional.binary_cross_entropy_with_logits(
            logits, images, reduction="none"
        )
        kl = -0.5 * (1 + z_log_var - z_mean**2 - z_log_var.exp()).sum(1)
        return errors.mean(1).sum((1, 2)).mean() + self.fact * kl.mean()


def _measure(settings: dict, layout) -> dict:
    torch.manual_seed(1)
    device = settings["device"]
    model = _VAE(settings).to(device, memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), 5e-4, fused=True)
    loss_of = torch.compile(model) if settings["compiled"] else model
    height, width, channels = settings["image_shape"]
    shape = (settings["batch_size"], channels, height, width)
    host = torch.randint(0, 256, shape, dtype=torch.uint8)
    host = host.contiguous(memory_format=layout)
    dtype = getattr(torch, settings["precision"])
    scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)

    def step() -> float:
        images = host.to(device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        low = dtype != torch.float32
        with torch.autocast(device, dtype=dtype if low else None, enabled=low):
            loss = loss_of(images)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    begun = time.perf_counter()
    losses = [float(step())]
    first_seconds = time.perf_counter() - begun
    losses += [float(step()) for _ in range(settings["warmup_steps"])]
    begun = time.perf_counter()
    steps = [step() for _ in range(settings["steps"])]
    losses += [float(loss) for loss in steps]
    seconds = time.perf_counter() - begun
    return {
        "images_per_second": settings["batch_size"] * settings["steps"] / seconds,
        "first_seconds": first_seconds,
        "total_loss": sum(losses) / len(losses),
    }


def main() -> None:
    """Measure what standard input says."""
    settings = json.load(sys.stdin)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    on_gpu = torch.cuda.is_available()
    settings["device"] = "cuda" if on_gpu else "cpu"
    before_mb = 0.0 if on_gpu else _peak_mb()
    layouts = (torch.contiguous_format, torch.channels_last)
    tried = [_measure(settings, layout) for layout in layouts]
    best = max(tried, key=lambda figures: figures["images_per_second"])
    peak_mb = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else _peak_mb()
    print(json.dumps(best | {"memory_mb": peak_mb - before_mb}))


if __name__ == "__main__":
    main()
