"""Building blocks that several networks share: activations, projection units, residual blocks, initialisation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


class PReLU(nn.PReLU):
    """PReLU with one slope per channel, written so that a CPU is fast.

    The same function as `torch.nn.PReLU`. In training on two CPU cores the library's backward takes longer than a
    convolution (9.5 ms against 4.0 ms for 8 x 16 x 128 x 128 in this form). Its forward alone is the fastest there is,
    but for half types in channels-last memory where the channels do not fill whole vectors of 32 numbers: 1 x 16 x 1112
    x 1388 in bfloat16 takes 249 ms, and 12 ms with two pixels in a row of 32.
    """

    def __init__(self, channels: int):
        super().__init__(channels, init=0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slope = self.weight.to(x.dtype)
        if x.device.type != "cpu":
            return F.prelu(x, slope)
        if torch.is_grad_enabled():
            return torch.lerp(torch.relu(x), x, slope.view(-1, 1, 1))
        pixels = pixels_per_row(x)
        return F.prelu(x, slope) if pixels == 1 else _prelu_in_rows(x, slope, pixels)


def pixels_per_row(x: torch.Tensor) -> int:
    """How many pixels of a channels-last feature map (B, C, H, W) of a half type fill whole vectors of 32 numbers.

    1 where one does, and for other types and memory formats.
    """
    if x.dtype.itemsize != 2 or x.ndim != 4 or not x.is_contiguous(memory_format=torch.channels_last):
        return 1
    return 32 // math.gcd(32, x.shape[1])


def _prelu_in_rows(x: torch.Tensor, slope: torch.Tensor, pixels: int) -> torch.Tensor:
    batch, channels, height, width = x.shape
    flat = x.permute(0, 2, 3, 1).reshape(-1, channels)  # no copy, as it lies in memory
    whole = len(flat) // pixels * pixels
    result = F.prelu(flat[:whole].view(-1, pixels * channels), slope.repeat(pixels)).view(-1, channels)
    if whole < len(flat):
        result = torch.cat([result, F.prelu(flat[whole:], slope)])
    return result.view(batch, height, width, channels).permute(0, 3, 1, 2)


def conv(channels_in: int, channels_out: int, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)


def conv_prelu(channels_in: int, channels_out: int, kernel: int = 3, bias: bool = True) -> nn.Sequential:
    """A convolution that keeps the size, and a PReLU."""
    return nn.Sequential(conv(channels_in, channels_out, kernel, bias), PReLU(channels_out))


class DepthConv(nn.Conv2d):
    """A 3x3 convolution of depth in its weights' precision, whatever autocast and the depth's own type say.

    bfloat16 has 8 bits: it would round a depth by up to half a level of an 8-bit image before the network sees it. The
    filters turn depth into differences, which 8 bits hold well: with this convolution alone in float32, DSRNet in
    bfloat16 is as accurate as in float32. (Where cuDNN may use TF32, float32 has 11 bits here, as many as float16.)
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def depth_conv_prelu(channels_in: int, channels_out: int) -> nn.Sequential:
    """`DepthConv` and a PReLU: how normalised depth enters a `ResidualNetwork`."""
    return nn.Sequential(DepthConv(channels_in, channels_out), PReLU(channels_out))


class Up(nn.Sequential):
    """Transposed convolution by `scale` (kernel scale + 4, padding 2: DBPN's sizes) and a PReLU.

    It equals a 3x3 convolution and a pixel shuffle; on a CPU this form is 1.4 to 4 times faster forward in
    channels-last memory, and up to twice as fast in training.
    """

    def __init__(self, channels_in: int, channels_out: int, scale: int, bias: bool = True):
        super().__init__(
            nn.ConvTranspose2d(channels_in, channels_out, scale + 4, stride=scale, padding=2, bias=bias),
            PReLU(channels_out),
        )


class Down(nn.Sequential):
    """Strided convolution by `scale` (kernel scale + 4, padding 2) and a PReLU: the way back from `Up`."""

    def __init__(self, channels_in: int, channels_out: int, scale: int, bias: bool = True):
        super().__init__(
            nn.Conv2d(channels_in, channels_out, scale + 4, stride=scale, padding=2, bias=bias), PReLU(channels_out)
        )


class UpProjection(nn.Module):
    """DBPN's up-projection unit: upsample, project back, upsample the residual, add.

    ``h0 = up(l); h = h0 + up(down(h0) - l)`` for l (B, lr, h, w) -> (B, hr, h * scale, w * scale).
    """

    def __init__(self, lr: int, hr: int, scale: int, bias: bool = True):
        super().__init__()
        self.up = Up(lr, hr, scale, bias)
        self.back = Down(hr, lr, scale, bias)
        self.up_residual = Up(lr, hr, scale, bias)

    def forward(self, low: torch.Tensor) -> torch.Tensor:
        high = self.up(low)
        return high + self.up_residual(self.back(high) - low)


class DownProjection(nn.Module):
    """DBPN's down-projection unit, the mirror of `UpProjection`: ``l0 = down(h); l = l0 + down(up(l0) - h)``."""

    def __init__(self, hr: int, lr: int, scale: int, bias: bool = True):
        super().__init__()
        self.down = Down(hr, lr, scale, bias)
        self.back = Up(lr, hr, scale, bias)
        self.down_residual = Down(hr, lr, scale, bias)

    def forward(self, high: torch.Tensor) -> torch.Tensor:
        low = self.down(high)
        return low + self.down_residual(self.back(low) - high)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a PReLU between, added to their input; no batch norm, no activation after the sum."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        self.body = nn.Sequential(conv_prelu(channels, channels, bias=bias), conv(channels, channels, bias=bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def initialise(module: nn.Module) -> None:
    """Kaiming-normal weights for PReLU's initial slope, and zero biases, in every convolution below `module`.

    The fan-in is the whole kernel's, also for transposed convolutions, of whose kernel each output pixel sees only
    1 / stride^2: so projection units start small. With the smaller fan-in, features grew from unit to unit and the
    loss after 150 steps was 1.6 times as large. The second convolution of a `ResidualBlock` starts at a tenth, so
    that a deep stack starts near the identity.
    """
    gain = nn.init.calculate_gain("leaky_relu", 0.25)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            fan_in = part.in_channels // part.groups * part.kernel_size[0] * part.kernel_size[1]
            nn.init.normal_(part.weight, std=gain / fan_in**0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, ResidualBlock):
            shrink(part.body[-1], 0.1)


def shrink(layer: nn.Module, factor: float = 0.01) -> None:
    """Scale the start weights of a convolution, the last layer of a residual branch, so that the branch starts small.

    Raises:
        AttributeError: for a layer without a parameter `weight`.
    """
    with torch.no_grad():
        layer.get_parameter("weight").mul_(factor)
