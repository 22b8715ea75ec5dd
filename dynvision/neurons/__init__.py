"""Single neurons and cells with time constants: what a unit does in time, before it is put into a network.

Neurons and chains of them are to look at: plain objects with a state and a history. Cells are to train: torch modules
that take a batch, a state and the time that has passed. Names and signatures are those of the page "Comparison:
ember_ml.core.base vs ember_ml.nn.modules.base_module"; what it imports from ``ember_ml`` is imported from here.
"""

from dynvision.neurons.adex_cell import AdExCell, AdExConstants
from dynvision.neurons.cell import ACTIVATIONS, BaseModule, Linear, Module, ModuleCell, Parameter
from dynvision.neurons.cfc_cell import CfCCell, StrideAwareCfC, StrideAwareCfCCell, WiredCfCCell
from dynvision.neurons.ltc_cell import LTCCell
from dynvision.neurons.ltc_neuron import LiquidNeuron, LTCChain, LTCNeuron
from dynvision.neurons.neuron import BaseChain, BaseNeuron, Response, impulse_response, step_response
from dynvision.neurons.rnn import LSTM, LTC, RNN, CfC, CTRNNCell, LSTMCell
from dynvision.neurons.wirings import NCP, AutoNCP, FullyConnected, Random, Wiring

__all__ = [
    "ACTIVATIONS",
    "LSTM",
    "LTC",
    "NCP",
    "RNN",
    "AdExCell",
    "AdExConstants",
    "AutoNCP",
    "BaseChain",
    "BaseModule",
    "BaseNeuron",
    "CTRNNCell",
    "CfC",
    "CfCCell",
    "FullyConnected",
    "LSTMCell",
    "LTCCell",
    "LTCChain",
    "LTCNeuron",
    "Linear",
    "LiquidNeuron",
    "Module",
    "ModuleCell",
    "Parameter",
    "Random",
    "Response",
    "StrideAwareCfC",
    "StrideAwareCfCCell",
    "WiredCfCCell",
    "Wiring",
    "impulse_response",
    "step_response",
]
