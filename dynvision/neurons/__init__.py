"""Single neurons and cells with time constants: what a unit does in time, before it is put into a network.

Neurons and chains of them are to look at: plain objects with a state and a history. Cells are to train: torch modules
that take a batch, a state and the time that has passed. Names and signatures are those of the page "Comparison:
ember_ml.core.base vs ember_ml.nn.modules.base_module"; what it imports from ``ember_ml`` is imported from here.
"""

from dynvision.neurons.activations import ACTIVATIONS
from dynvision.neurons.base_chain import BaseChain
from dynvision.neurons.base_neuron import BaseNeuron
from dynvision.neurons.cfc_cell import CfCCell
from dynvision.neurons.ctrnn_cell import CTRNNCell
from dynvision.neurons.dense_wirings import FullyConnected, Random
from dynvision.neurons.lstm import LSTM, LSTMCell
from dynvision.neurons.ltc_cell import LTCCell
from dynvision.neurons.ltc_chain import LTCChain
from dynvision.neurons.ltc_neuron import LTCNeuron
from dynvision.neurons.module import BaseModule, Linear, Module, Parameter
from dynvision.neurons.module_cell import ModuleCell
from dynvision.neurons.neural_circuit_policy import NCP, AutoNCP
from dynvision.neurons.responses import Response, impulse_response, step_response
from dynvision.neurons.rnn import RNN
from dynvision.neurons.stride_aware_cfc import StrideAwareCfC, StrideAwareCfCCell
from dynvision.neurons.wired_cfc_cell import WiredCfCCell
from dynvision.neurons.wiring import Wiring

__all__ = [
    "ACTIVATIONS",
    "LSTM",
    "NCP",
    "RNN",
    "AutoNCP",
    "BaseChain",
    "BaseModule",
    "BaseNeuron",
    "CTRNNCell",
    "CfCCell",
    "FullyConnected",
    "LSTMCell",
    "LTCCell",
    "LTCChain",
    "LTCNeuron",
    "Linear",
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
