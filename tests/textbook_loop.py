"""The textbook loop: for each step, for each layer, for each operation. The oracle of the engine.

Written from the definition of the dynamics alone. It shares the modules (convolutions, solvers, connections) with the
engine, and nothing of how the engine orders or batches the work.
"""

from __future__ import annotations

import torch
from torch import nn

from dynvision.functional.maps import resize_to_target
from dynvision.model_components import (
    Connection,
    RecurrentConnectedConv2d,
    RecurrentConnection,
    Solver,
    StatefulOperation,
    TimedOperation,
    ZeroStart,
)


def textbook_loop(model, video, n_residual=None, seen=None):
    """Run a model on a video (B, T, C, H, W); returns outputs (B, T + R, K) and activity by layer as lists over time.

    ``seen``, a dictionary, receives what else goes on, by quantity, layer and step of the presentation; the output of a
    convolution only where recurrence enters behind it.
    """
    asked = seen is not None  # else only what the trial itself needs is computed
    null = torch.full_like(video[:, 0], model.non_input_value)
    residual = model.n_residual_timesteps if n_residual is None else n_residual
    frames = [null] * model.idle_steps + list(video.unbind(1)) + [null] * residual
    history = {layer: [] for layer in model.layer_names}  # activity at every step, None before the start
    heard = {layer: [] for layer in model.layer_names}  # the same, as next layers and connections hear it
    recorded = {layer: [] for layer in model.layer_names}  # the same, as recordings have it
    drives = {layer: [] for layer in model.layer_names}
    memory = {}  # states of stateful operations, begun in the order of layers and operations
    for layer in model.layer_names:
        for name in model.layer_operations:
            module = find(model, name, layer)
            if isinstance(module, StatefulOperation):
                memory[layer, name] = module.start()
    started = {}  # step at which a layer's signal was first there
    outputs = []
    for t, frame in enumerate(frames):
        if t == model.idle_steps:  # the idle state carries no gradient
            history, heard, drives, memory = cut(history), cut(heard), cut(drives), cut(memory)
        x, below = frame, None
        for layer in model.layer_names:
            gain = lesion(model, "feedforward", below, layer, t)
            x = x if gain is None or x is None else x * gain
            below = layer
            seen_by_recordings = None
            past, own = history[layer], None  # own: the state, where others hear something else
            delay = model.feedforward_delay_steps(layer)
            for name in model.layer_operations:
                module = find(model, name, layer)
                if name == "delay":
                    past.append(x if own is None else own)
                    heard[layer].append(x)
                    recorded[layer].append(x if seen_by_recordings is None else seen_by_recordings)
                    learned = model._modules.get(f"delay_{layer}")
                    x = heard_after(heard[layer], t, delay if learned is None else learned)
                elif name == "record":
                    seen_by_recordings = x
                elif module is None:
                    continue
                elif isinstance(module, (RecurrentConnectedConv2d, RecurrentConnection)):
                    r = None if model.feedforward_only else heard_after(past, t, module)
                    since = t - model.idle_steps
                    if asked and r is not None and module.recurrence is not None:
                        seen["recurrent", layer, since] = module.recurrent_signal(r)
                    if asked and x is not None and name == "layer" and module.recurrence_target == "output":
                        seen["conv", layer, since] = module.feedforward(x)
                    # a layer does not start by its own recurrence or by feedback
                    gain = lesion(model, "recurrent", layer, layer, t)
                    x = module(x, r) if gain is None or r is None else scaled_recurrence(module, x, r, gain)
                elif isinstance(module, Connection):
                    backward = model.layer_names.index(module.source) >= model.layer_names.index(layer)
                    off = model.feedforward_only if backward else model.without_skip
                    source = heard[module.source]
                    r = None if off else heard_after(source, t, module)
                    gain = lesion(model, "feedback" if backward else "skip", module.source, layer, t)
                    if gain is None or r is None:
                        x = module(x, r)
                    elif gain != "absent":
                        h = gain * module.transform(r)
                        x = h if x is None else module.merge(x, h)
                elif isinstance(module, ZeroStart):
                    if x is None or t < module.n_steps:
                        x = frame.new_zeros(len(frame), *module.shape)
                elif x is None:
                    continue
                elif isinstance(module, TimedOperation):
                    x = module.at(x, min(t - started.setdefault((layer, name), t), module.n_steps - 1))
                elif isinstance(module, Solver) and not isinstance(module, StatefulOperation):
                    drives[layer].insert(0, x)
                    if asked:
                        seen["drive", layer, t - model.idle_steps] = x
                    x = module(drives[layer][: module.history + 1], past[-1] if past else None)
                elif isinstance(module, StatefulOperation):
                    if asked and isinstance(module, Solver):
                        seen["drive", layer, t - model.idle_steps] = x
                    own = x if module.on_output and own is None else own
                    x, memory[layer, name] = module.step(x, memory[layer, name], past[-1] if past else None)
                else:
                    x = module(x)
                    if asked and name == "layer":
                        seen["conv", layer, t - model.idle_steps] = x
        outputs.append(None if x is None else model.read_out(x))
    kept = outputs[model.idle_steps :]
    zeros = torch.zeros_like(next(o for o in outputs if o is not None))
    return torch.stack([zeros if o is None else o for o in kept], dim=1), {
        layer: past[model.idle_steps :] for layer, past in recorded.items()
    }


def heard_after(past, t, delay):
    """What of the past is heard at step t, after a number of steps or the delay of a module."""
    if not isinstance(delay, int) and delay.learned_delay is not None and delay.training:
        steps = delay.learned_delay / delay.dt
        k = int(steps.detach().add(1e-6).floor())
        pair = [past[t - d] if t >= d else None for d in (k, k + 1)]
        mixed = [w * r for w, r in zip((1 - (steps - k), steps - k), pair, strict=True) if r is not None]
        return sum(mixed[1:], mixed[0]) if mixed else None
    steps = delay if isinstance(delay, int) else delay.delay_steps
    return past[t - steps] if t >= steps else None


def lesion(model, kind, source, target, t):
    """The gain of a connection at step t: None where it is intact, "absent" where nothing ever passes."""
    *named, pair = model.lesion.split(" ")
    if pair != f"{source}->{target}" or named not in ([], [kind]):
        return None
    start, end = model.t_lesion_start, model.t_lesion_end
    if model.lesion_gain == 0 and start is None and end is None:
        return 0.0 if kind == "feedforward" else "absent"
    ms = (t - model.idle_steps - model.onset_steps) * model.dt
    inside = (start is None or ms >= start) and (end is None or ms < end)
    return model.lesion_gain if inside else 1.0


def scaled_recurrence(module, x, r, gain):
    """One step of a layer whose recurrent signal is scaled."""
    h = None if gain == "absent" else gain * module.recurrent_signal(r)

    def add(x):
        return x if h is None else module.merge(x, resize_to_target(h, x, module.target_size))

    if isinstance(module, RecurrentConnection):
        return add(x)
    x = module.first_stage(add(x) if module.recurrence_target == "input" else x)
    x = module.second_stage(add(x) if module.recurrence_target == "middle" else x)
    return add(x) if module.recurrence_target == "output" else x


def cut(state):
    if isinstance(state, dict):
        return {key: cut(value) for key, value in state.items()}
    if isinstance(state, list):
        return [cut(value) for value in state]
    return state.detach() if isinstance(state, torch.Tensor) else state


def find(model, name, layer):
    modules = dict(model.named_children())
    for attribute, paths in model.module_paths.items():
        modules[attribute] = nn.Sequential(*(model.get_submodule(path) for path in paths))
        if len(paths) == 1:
            modules[attribute] = modules[attribute][0]
    return modules[layer] if name == "layer" else modules.get(f"{name}_{layer}", modules.get(name))
