"""Small layers that several parts of the model share."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def uniform_parameter(*shape: int, bound: float = 0.03) -> nn.Parameter:
    """Make a parameter of random numbers between -bound and bound.

    Parameters
    ----------
    *shape : int
        Shape of the parameter.
    bound : float
        Largest absolute value.

    Returns
    -------
    nn.Parameter
        The parameter.
    """
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


@runtime_checkable
class Foldable(Protocol):
    """A layer whose parameters have a form that is faster in inference."""

    def folded(self) -> nn.Module:
        """Make a layer that does the same, in that form."""
        ...


def fold(module: nn.Module) -> None:
    """Bring the parameters of a module tree into the form for inference.

    Afterwards the state dict no longer has the checkpoint's keys, so this
    comes after loading.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    """
    for name, child in module.named_children():
        if isinstance(child, Foldable):
            setattr(module, name, child.folded().train(child.training))
        else:
            fold(child)


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of (B, C, H, W).

    Parameters
    ----------
    channels : int
        Number of channels.
    eps : float
        Added to the variance; SAM uses 1e-6 in all its image-shaped norms.
    """

    def __init__(self, *, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Normalise every pixel; the result is in channels-last memory."""
        # The permutes are free views when the input is in channels-last memory.
        x_bhwc = x_bchw.permute(0, 2, 3, 1)
        x_bhwc = F.layer_norm(x_bhwc, self.weight.shape, self.weight, self.bias, self.eps)
        return x_bhwc.permute(0, 3, 1, 2)


class Vectors(nn.Module):
    """Learned vectors that are used as they are, not looked up.

    Parameters
    ----------
    count, width : int
        Number of vectors and their channels.
    """

    # The checkpoints' keys are those of nn.Embedding, which draws normal
    # numbers: on the meta device, which loading uses, that imports torch's
    # compiler and takes seconds.
    def __init__(self, *, count: int, width: int) -> None:
        super().__init__()
        self.weight = uniform_parameter(count, width, bound=3**0.5)


class TransformerMlp(nn.Module):
    """Two linear layers with an activation between.

    Parameters
    ----------
    width, hidden : int
        Channels outside and inside.
    activation : nn.Module
        GELU in the image encoder, ReLU in the two-way transformer.
    """

    def __init__(self, *, width: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        y: Tensor = self.lin2(self.activation(self.lin1(x)))
        return y


class HeadMlp(nn.Module):
    """Linear layers with ReLU between, as the decoder's heads use.

    Parameters
    ----------
    widths : tuple of int
        Channels from the input through every layer to the output.
    """

    def __init__(self, *, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., widths[0]) to (..., widths[-1])."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        y: Tensor = self.layers[-1](x)
        return y


def make_neck(*, in_channels: int, out_channels: int) -> nn.Sequential:
    """Make the neck that ends both image encoders.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the last stage and of the embedding.

    Returns
    -------
    nn.Sequential
        1x1 convolution, norm, 3x3 convolution, norm; (B, C, H, W) in and out.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        LayerNorm2d(channels=out_channels),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(channels=out_channels),
    )


def to_windows(x_bhwc: Tensor, window: int) -> Tensor:
    """Cut a grid into square windows, padding it with zeros at the far ends.

    Parameters
    ----------
    x_bhwc : Tensor of shape (B, H, W, C)
        Grid of tokens.
    window : int
        Side of a window.

    Returns
    -------
    Tensor of shape (B * windows, window * window, C)
        Windows row by row.
    """
    batch, height, width, channels = x_bhwc.shape
    pad_h, pad_w = -height % window, -width % window
    if pad_h or pad_w:
        x_bhwc = F.pad(x_bhwc, (0, 0, 0, pad_w, 0, pad_h))
    rows, cols = (height + pad_h) // window, (width + pad_w) // window
    x = x_bhwc.view(batch, rows, window, cols, window, channels).transpose(2, 3)
    return x.reshape(batch * rows * cols, window * window, channels)


def from_windows(windows_mnc: Tensor, window: int, height: int, width: int) -> Tensor:
    """Put windows back into the grid that :func:`to_windows` cut.

    Parameters
    ----------
    windows_mnc : Tensor of shape (B * windows, window * window, C)
        Windows row by row.
    window : int
        Side of a window.
    height, width : int
        Size of the grid without padding.

    Returns
    -------
    Tensor of shape (B, height, width, C)
        The grid, as a view where memory allows.
    """
    rows, cols = -(-height // window), -(-width // window)
    batch, channels = windows_mnc.shape[0] // (rows * cols), windows_mnc.shape[2]
    x = windows_mnc.view(batch, rows, cols, window, window, channels).transpose(2, 3)
    x_bhwc = x.reshape(batch, rows * window, cols * window, channels)
    return x_bhwc[:, :height, :width]
