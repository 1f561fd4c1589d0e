"""U-Nets that see a whole image and give features per pixel: ResNet-50 encoder (DADA's), and a small one."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import PReLU, ResidualBlock, conv, conv_prelu, initialise

RESNET50_BLOCKS = (3, 4, 6, 3)
RESNET50_WIDTHS = (64, 128, 256, 512)
DECODER_WIDTHS = (256, 128, 64, 32, 16)


class ResNet50UNet(nn.Module):
    """U-Net with a ResNet-50 encoder, run at twice the image's size: DADA's feature extractor.

    The image is upsampled bicubically by 2, the features are averaged back over 2x2 pixels. Parameters are named as in
    segmentation_models_pytorch's ``Unet("resnet50")`` (encoder.*, decoder.blocks.*, segmentation_head.0.*), whose
    encoder in turn is named as in torchvision, so that published checkpoints map one to one.

    Args:
        channels_in: channels of the image.
        channels_out: features per pixel.
    """

    multiple = 16  # the encoder halves the doubled image five times

    def __init__(self, channels_in: int = 4, channels_out: int = 64):
        super().__init__()
        self.encoder = ResNet50Encoder(channels_in)
        self.decoder = UNetDecoder((2048, 1024, 512, 256, 64), DECODER_WIDTHS)
        self.segmentation_head = nn.Sequential(nn.Conv2d(DECODER_WIDTHS[-1], channels_out, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.xavier_uniform_(self.segmentation_head[0].get_parameter("weight"))
        nn.init.zeros_(self.segmentation_head[0].get_parameter("bias"))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W), any H and W."""
        height, width = image.shape[-2:]
        image = F.interpolate(pad_to_multiple(image, self.multiple), scale_factor=2, mode="bicubic")
        return self._head_and_pool(self.decoder(self.encoder(image)))[..., :height, :width]

    def _head_and_pool(self, x: torch.Tensor) -> torch.Tensor:
        # The mean over 2x2 pixels of a 3x3 convolution is one 4x4 convolution of stride 2: the doubled image's
        # features, 64 channels of it and by far the largest tensor here, are never made.
        weight, bias = (self.segmentation_head[0].get_parameter(name) for name in ("weight", "bias"))
        shifted = [F.pad(weight, (dx, 1 - dx, dy, 1 - dy)) for dy in (0, 1) for dx in (0, 1)]
        return F.conv2d(x, torch.stack(shifted).mean(dim=0), bias, stride=2, padding=1)

    def load_encoder(self, state: dict[str, torch.Tensor]) -> None:
        """Start the encoder from a ResNet-50 classifier for RGB images (ImageNet), named as in torchvision.

        The first convolution's further input channels take the RGB kernels in turn, all scaled by 3 / channels_in, so
        that the response keeps its size (what segmentation_models_pytorch does).

        Raises:
            ValueError: when `state` is not a ResNet-50.
        """
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        own = self.encoder.state_dict()
        first = state.get("conv1.weight")
        if first is not None and tuple(first.shape) == (64, 3, 7, 7):
            channels = own["conv1.weight"].shape[1]
            state["conv1.weight"] = first[:, [c % 3 for c in range(channels)]] * (3 / channels)
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        shapes = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
        if missing or unknown or shapes:
            raise ValueError(
                f"not a ResNet-50 named as in torchvision: missing {missing[:3]}, unknown {unknown[:3]}, "
                f"other shapes {shapes[:3]}"
            )
        self.encoder.load_state_dict(state)


class ResNet50Encoder(nn.Module):
    """ResNet-50 without its classifier; gives the features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size."""

    def __init__(self, channels_in: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        layers, channels = [], 64
        for number, (blocks, width) in enumerate(zip(RESNET50_BLOCKS, RESNET50_WIDTHS), start=1):
            layer = [Bottleneck(channels, width, stride=1 if number == 1 else 2)]
            layer += [Bottleneck(4 * width, width) for _ in range(blocks - 1)]
            layers.append(nn.Sequential(*layer))
            channels = 4 * width
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        features = [F.relu(self.bn1(self.conv1(image)))]
        x = F.max_pool2d(features[0], 3, stride=2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


class Bottleneck(nn.Module):
    """1x1, 3x3 (which strides), 1x1 convolutions to 4 * width channels, each with batch norm; added to the input."""

    def __init__(self, channels_in: int, width: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or channels_in != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, 4 * width, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(shortcut + self.bn3(self.conv3(x)))


class UNetDecoder(nn.Module):
    """From the encoder's smallest features up: double the size, join the encoder's features there, two convolutions.

    Args:
        encoder_widths: channels of the encoder's features, smallest size first.
        widths: channels after each block; the last block has no encoder features to join.
    """

    def __init__(self, encoder_widths: tuple[int, ...], widths: tuple[int, ...]):
        super().__init__()
        below = (encoder_widths[0], *widths[:-1])
        beside = (*encoder_widths[1:], 0)
        self.blocks = nn.ModuleList(DecoderBlock(b + s, w) for b, s, w in zip(below, beside, widths))

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        *beside, x = features
        for block in self.blocks:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, beside.pop()], dim=1) if beside else x)
        return x


class DecoderBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv1 = _conv_bn_relu(channels_in, channels_out)
        self.conv2 = _conv_bn_relu(channels_out, channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(x))


def _conv_bn_relu(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


class LiteUNet(nn.Module):
    """A small U-Net for CPUs: no batch norm, the image's own size, most of the work at half of it.

    A 2x2 pixel-unshuffle leads to the widest level that a CPU affords; residual blocks and strided convolutions lead
    down from there, transposed ones back up onto the skips by addition. A last convolution at full size sees the image
    again, so that features keep their place to the pixel.

    Args:
        channels_in: channels of the image.
        channels_out: features per pixel.
        widths: channels at 1/2, 1/4, ... of the size.
    """

    def __init__(self, channels_in: int, channels_out: int = 16, widths: tuple[int, ...] = (32, 48, 64, 96)):
        super().__init__()
        self.multiple = 2 ** len(widths)
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), conv_prelu(4 * channels_in, widths[0]))
        self.encoder = nn.ModuleList(ResidualBlock(width) for width in widths)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1), PReLU(b)) for a, b in pairs)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(b, a, 4, stride=2, padding=1), PReLU(a)) for a, b in reversed(pairs)
        )
        self.decoder = nn.ModuleList(ResidualBlock(width) for width in reversed(widths[:-1]))
        self.full = nn.Sequential(conv(widths[0], 4 * channels_out), nn.PixelShuffle(2), PReLU(channels_out))
        self.head = conv(channels_out + channels_in, channels_out)
        initialise(self)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W), any H and W."""
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, self.multiple)
        x = self.encoder[0](self.stem(image))
        skips = []
        for down, block in zip(self.down, self.encoder[1:]):
            skips.append(x)
            x = block(down(x))
        for up, block in zip(self.up, self.decoder):
            x = block(up(x) + skips.pop())
        return self.head(torch.cat([self.full(x), image], dim=1))[..., :height, :width]


def pad_to_multiple(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column of (B, C, H, W) until `multiple` divides height and width."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")
