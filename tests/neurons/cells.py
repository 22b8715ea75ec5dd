"""One of every cell, small, in double precision."""

from __future__ import annotations

import torch

from dynvision.neurons import (
    NCP,
    AdExCell,
    CfCCell,
    CTRNNCell,
    FullyConnected,
    LTCCell,
    Random,
    StrideAwareCfCCell,
    WiredCfCCell,
)

F = 3  # inputs of each of them
POLICY = (5, 4, 2, 3, 2, 4, 3)  # 11 units


def firing(cell):
    """A cell whose units get currents around twice their rheobase."""
    torch.nn.init.constant_(cell.input_weight.bias, 2.0)
    return cell


def policy(seed=0):
    return NCP(*POLICY, seed=seed)


MAKERS = {
    "ltc": lambda: LTCCell(FullyConnected(4, 2), F),
    "ltc_sparse": lambda: LTCCell(Random(6, 2, 0.6), F),
    "ltc_policy": lambda: LTCCell(policy(), F, implicit_param_constraints=True),
    "cfc": lambda: CfCCell(F, 4, backbone_units=8),
    "cfc_no_gate": lambda: CfCCell(F, 4, "no_gate", backbone_layers=0),
    "cfc_pure": lambda: CfCCell(F, 4, "pure", backbone_units=8, backbone_layers=2),
    "cfc_wired": lambda: WiredCfCCell(policy(), F),
    "cfc_stride": lambda: StrideAwareCfCCell(F, 4, stride_length=3, time_scale_factor=0.5, backbone_units=8),
    "cfc_strides": lambda: StrideAwareCfCCell(F, 4, stride_length=[1, 3], backbone_units=8),
    "adex": lambda: firing(AdExCell(F, 4, ode_unfolds=3)),
    "ctrnn": lambda: CTRNNCell(F, 4, tau=[2.0, 4.0, 8.0, 16.0], train_tau=True),
}


def make(name, seed=0):
    torch.manual_seed(seed)
    return MAKERS[name]().double()
