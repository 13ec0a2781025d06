"""What a network's answer rests on: gradient × input, for each feature of a window.

How the log-probability of a class would change with the input, times the input itself (saliency: Simonyan,
Vedaldi & Zisserman 2014, "Deep inside convolutional networks"; the product: Shrikumar, Greenside & Kundaje
2017, "Learning important features through propagating activation differences"). Of the log-probability, not
the logit: a logit may rise together with those of all other classes, which changes no answer.

docs/output.md has what the values mean and what they do not.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bci_m2s.errors import DeviceError
from bci_m2s.types import FloatArray


def attribute(
    network: nn.Module, window: NDArray[np.float32], head: str, class_index: int | None, temperature: float
) -> FloatArray:
    """``gradient_times_input`` of a window in memory, (T, F) → (F,) float64, wherever the network is.

    On CUDA it runs in a stream of its own, so that inference need not wait behind it.

    Raises
    ------
    DeviceError
        The GPU failed, or has no memory left.
    """
    device = next(network.parameters()).device
    try:
        stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if stream is not None:  # the weights may only just be on their way
            stream.wait_stream(torch.cuda.default_stream(device))
        with torch.cuda.stream(stream):
            point = torch.from_numpy(window).to(device)
            return gradient_times_input(network, point, head, class_index, temperature).cpu().numpy()
    except RuntimeError as problem:
        if device.type == "cpu":
            raise
        first = str(problem).strip().splitlines()[0][:300]
        raise DeviceError(f"{device}: attribution failed: {first}") from None


def gradient_times_input(
    network: nn.Module, window: Tensor, head: str, class_index: int | None, temperature: float
) -> Tensor:
    """Gradient × input of a class's calibrated log-probability, summed over the steps.

    Leaves the network as it is: no gradient is kept in its weights, no mode is switched, nothing is cached
    in it. So another thread may use the same network for inference at the same time.

    Parameters
    ----------
    network : in eval mode, weights without gradients; see ``networks.Network``
    window : (T, F) float32 on the network's device, standardised
    head : which answer
    class_index : which class; None for the most probable one
    temperature : logits are divided by it

    Returns
    -------
    (F,) float64 on the same device, in nats; signed: above 0 speaks for the class, below 0 against it
    """
    with torch.inference_mode(False), torch.enable_grad():
        point = window[None].clone().requires_grad_(True)
        # In float64 the part of a nearly certain class's gradient that is left does not round to zero.
        logits = network(point)[head][0].double() / temperature
        index = int(logits.argmax()) if class_index is None else class_index
        answer = torch.log_softmax(logits, dim=0)[index]
        (slope,) = torch.autograd.grad(answer, point)
    return (slope[0].double() * window.double()).sum(dim=0)
