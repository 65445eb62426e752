"""A loaded model on its device: pictures in, named features and logits out."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xxhash
from PIL import Image

from samslice.engine.coords import Frame
from samslice.engine.device import choose_device, choose_precision, set_threads
from samslice.model.build import load_checkpoint
from samslice.model.prompt_encoder import PromptTensors
from samslice.weights import REGISTRY, resolve

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from samslice.engine.progress import Cancel
    from samslice.engine.types import Prompt, Region
    from samslice.model.sam import Sam
    from samslice.weights.meter import Progress

Features = dict[str, np.ndarray]


class SamModel:
    """A SAM of any variant, ready to encode and decode.

    Parameters
    ----------
    sam : samslice.model.sam.Sam
        The network, in float32.
    name : str
        What to call it in results and messages.
    fingerprint : str
        Identity of its weights.
    device : str, optional
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    precision : str, optional
        ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``: of the image
        encoder. The mask decoder, a hundredth of the work, stays in float32.
    """

    def __init__(
        self,
        sam: Sam,
        *,
        name: str,
        fingerprint: str,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.name = name
        self.device = choose_device(device)
        self.dtype = choose_precision(precision, self.device)
        self._sam = sam.to(self.device).eval()
        self._sam.image_encoder.to(self.dtype)
        self.image_size = sam.config.image_size
        self.mask_size = sam.config.mask_size
        self.architecture = sam.config.name
        self.key = f"{self.architecture}-{fingerprint}-{str(self.dtype).removeprefix('torch.')}"

    def __repr__(self) -> str:
        return f"SamModel({self.name!r}, {self.architecture}, {self.device}, {self.dtype})"

    def frame(self, shape: tuple[int, int]) -> Frame:
        """Say how a plane sits in the model's input.

        Parameters
        ----------
        shape : tuple of int
            (rows, columns) of the plane.

        Returns
        -------
        Frame
            The mapping between the plane and the model's input.
        """
        return Frame((int(shape[0]), int(shape[1])), self.image_size, self.mask_size)

    def encode(
        self, pictures: Sequence[NDArray[np.uint8]], *, cancel: Cancel | None = None
    ) -> list[Features]:
        """Run the image encoder on pictures, all in one pass.

        Parameters
        ----------
        pictures : sequence of ndarray of shape (rows, columns, 3), uint8
            What the encoder is to see.
        cancel : Cancel, optional
            Asked before every layer, so that a pass of many seconds can stop.

        Returns
        -------
        list of dict
            The named features of each picture.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        with torch.inference_mode(), _checking(self._sam.image_encoder, cancel):
            inputs = [self._to_input(picture) for picture in pictures]
            batch_bchw = torch.stack(inputs).to(self.dtype)
            features_bchw = self._sam.encode(batch_bchw).float().cpu()
        return [{"image": feature.numpy()} for feature in features_bchw]

    def _to_input(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        rows, cols = self.frame(picture.shape[:2]).input_shape
        # Pillow's filter is the one that SAM was trained and published with.
        resized = Image.fromarray(picture).resize((cols, rows), Image.Resampling.BILINEAR)
        image_hwc = torch.from_numpy(np.array(resized)).to(self.device)
        return self._sam.preprocess(image_hwc)

    def decode(
        self,
        features: Mapping[str, NDArray[np.float32]],
        prompts: Sequence[Prompt],
        frame: Frame,
        *,
        multimask: bool,
        windows: Sequence[Region] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the mask decoder on prompts of one plane, all in one pass.

        Parameters
        ----------
        features : mapping of str to ndarray
            What `encode` made of the plane.
        prompts : sequence of Prompt
            Prompts of the same structure: as many points each, and all or
            none of them with a box and with a mask.
        frame : Frame
            The plane's frame.
        multimask : bool
            Three candidates for each prompt instead of one.
        windows : sequence of Region, optional
            Part of the plane in which each object is; see `Predictor.predict_many`.

        Returns
        -------
        logits : ndarray of shape (n, k, mask_size, mask_size), float32
            Low-resolution logits.
        scores : ndarray of shape (n, k), float32
            Predicted IoU of each candidate.
        """
        with torch.inference_mode():
            # A copy, because an embedding is read-only and torch has no such tensors.
            feature_chw = torch.from_numpy(np.array(features["image"], np.float32))
            logits_bkhw, scores_bk = self._sam.decode(
                feature_chw[None].to(self.device),
                self._tensors(prompts, frame),
                multimask=multimask,
                windows=None if windows is None else [frame.cells(w) for w in windows],
            )
            return logits_bkhw.float().cpu().numpy(), scores_bk.float().cpu().numpy()

    def _tensors(self, prompts: Sequence[Prompt], frame: Frame) -> PromptTensors:
        def stack(arrays: list[NDArray[np.float32]]) -> torch.Tensor:
            return torch.from_numpy(np.stack(arrays)).to(self.device)

        first = prompts[0]
        points = labels = boxes = masks = None
        if len(first.points):
            points = stack([frame.points_to_input(p.points) for p in prompts])
            labels = stack([p.positive.astype(np.int64) for p in prompts])
        if first.box is not None:
            boxes = stack([frame.box_to_input(p.box) for p in prompts if p.box is not None])
        if first.mask is not None or first.logits is not None:
            masks = stack([mask_logits(p, frame) for p in prompts])[:, None]
        return PromptTensors(points, labels, boxes, masks)


@contextmanager
def _checking(network: torch.nn.Module, cancel: Cancel | None) -> Iterator[None]:
    """Ask `cancel` before every layer that this thread runs."""
    if cancel is None:
        yield
        return
    this_thread = threading.get_ident()

    def check(*_: Any) -> None:
        if threading.get_ident() == this_thread:  # others may share the network
            cancel.check()

    handles = [layer.register_forward_pre_hook(check) for layer in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def mask_logits(prompt: Prompt, frame: Frame) -> NDArray[np.float32]:
    """Bring a prompt's mask or logits to the decoder's low resolution.

    Parameters
    ----------
    prompt : Prompt
        A prompt that has a mask or logits.
    frame : Frame
        The plane's frame.

    Returns
    -------
    ndarray of shape (mask_size, mask_size), float32
        Logits for the prompt encoder.

    Raises
    ------
    ValueError
        If logits are given in another size.
    """
    if prompt.logits is None:
        if prompt.mask is None:
            raise ValueError("the prompt has neither mask nor logits; give one of them.")
        return frame.mask_to_logits(prompt.mask)
    if prompt.logits.shape != (frame.mask_size, frame.mask_size):
        raise ValueError(
            f"logits have shape {prompt.logits.shape}; allowed is "
            f"({frame.mask_size}, {frame.mask_size}): one entry of a Prediction.logits "
            "of this model."
        )
    return prompt.logits


def load_model(
    name_or_path: str | os.PathLike[str] = "mobile_sam",
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    progress: Progress = True,
) -> SamModel:
    """Load a model by its registry name or from a checkpoint file.

    The architecture is inferred from the checkpoint.

    Parameters
    ----------
    name_or_path : str or path-like, optional
        A name that ``samslice weights list`` shows, or the path of a
        checkpoint of one of SAM's architectures.
    device : str, optional
        ``"auto"`` (CUDA, then MPS, then CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``
        or ``"mps"``.
    precision : str, optional
        ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``: of the image
        encoder.
    threads : int, optional
        CPU threads that torch may use; torch's own choice if left out.
    progress : bool or callable, optional
        Of a download; see `samslice.weights.meter.Progress`.

    Returns
    -------
    SamModel
        The model on its device.

    Raises
    ------
    ValueError
        If the name is unknown, the checkpoint is not a SAM, or the device
        cannot do the precision.
    OSError
        If no source has the weights.
    """
    path = resolve(name_or_path, progress=progress)
    if threads is not None:
        set_threads(threads)
    known = REGISTRY.get(str(name_or_path))
    return SamModel(
        load_checkpoint(path),
        name=known.name if known else path.stem,
        fingerprint=_fingerprint(path),
        device=device,
        precision=precision,
    )


def _fingerprint(path: Path) -> str:
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
