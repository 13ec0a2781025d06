"""SGD as torch has it, without torch's compiler; see ``adam``."""

from __future__ import annotations

from inspect import unwrap

import torch


class SGD(torch.optim.SGD):
    """`torch.optim.SGD`, the same bits."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
    zero_grad = unwrap(torch.optim.SGD.zero_grad)
    add_param_group = unwrap(torch.optim.SGD.add_param_group)
    state_dict = unwrap(torch.optim.SGD.state_dict)
    load_state_dict = unwrap(torch.optim.SGD.load_state_dict)
