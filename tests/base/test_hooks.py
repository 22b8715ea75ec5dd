"""Hooks on modules: called at every step with (B, ...), heard by what follows, equal to the textbook loop; or refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from dynvision.base import BaseModel
from dynvision.base.hooks import computes_weights
from dynvision.errors import InputError
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.registered import CASES, build_small, images
from tests.textbook_loop import textbook_loop

B, T = 2, 5
VARIANTS = {
    "default": {},
    "delays": {"t_feedforward": 4.0, "t_skip": 6.0, "feedback": "additive", "t_feedback": 6.0, "t_idle": 8.0},
    "input": {"recurrence_target": "input", "recurrence_merge": "multiplicative"},
    "drive": {"nonlinearity_position": "drive", "train_tau": True, "unit_bias": "feature"},
    "rk4": {"dynamics_solver": "rk4", "input_adaptation": 1.0, "intrinsic_suppression": 0.5},
    "norm": {
        "divisive_normalization": True,
        "recurrence_type": "depthpointwise",
        "feedback": "multiplicative",
    },
    "none": {"recurrence_type": "none"},
}


def dyrcnn(variant, name="DyRCNNx2"):
    model = create(name, input_dims=(9, 2, 8, 8), n_classes=3, t_recurrence=4.0, **VARIANTS[variant])
    return randomize(model, gain=0.5).double()


def video_of(model, n=B):
    generator = torch.Generator().manual_seed(1)
    shape = (n, model.n_timesteps, model.n_channels, model.height, model.width)
    return torch.randn(shape, generator=generator, dtype=next(model.parameters()).dtype)


def halve(module, arguments, output):
    """Silence half of the channels and shift the others, as a lesion would."""
    if output is None:  # the loop calls a layer that has not started
        return None
    silent = torch.zeros_like(output)
    silent[:, ::2] = 1.5 * output[:, ::2] + 0.1
    return silent


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "hooked", ["layer1", "layer2", "nonlin", "tstep_layer1", "layer2.conv", "everything"]
)
def test_what_a_hook_changes_is_what_the_loop_with_that_hook_computes(variant, hooked):
    model = dyrcnn(variant)
    names = [name for name, _ in model.named_children()] if hooked == "everything" else [hooked]
    for name in names:
        module = model.get_submodule(name)
        if not name.startswith(("adapt", "suppress", "norm")):  # the loop does not call these
            module.register_forward_hook(halve)
    video = video_of(model)
    plain, _ = copy.deepcopy(model)(video), None
    for block in (None, 1, 3):
        model.block_steps = block
        y = model(video)
        expected, _ = textbook_loop(model, video)
        torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-11)
    gradients = torch.autograd.grad(y.square().sum(), list(model.parameters()), allow_unused=True)
    references = torch.autograd.grad(expected.square().sum(), list(model.parameters()), allow_unused=True)
    for gradient, reference in zip(gradients, references, strict=True):
        assert (gradient is None) == (reference is None)
        if reference is not None:
            torch.testing.assert_close(gradient, reference, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(plain, y, rtol=1e-9, atol=1e-11)  # a copy has the hooks, too
    for module in model.modules():
        module._forward_hooks.clear()
    assert (model(video) - y).abs().max() > 1e-3  # the hooks mattered


@pytest.mark.parametrize("case", CASES)
def test_in_every_family_a_hook_on_a_layer_hears_every_step(case):
    model = build_small(case).eval()
    x = images(model, B)
    with torch.no_grad():
        before = model(x)
        for layer in model.chain:
            if model.module_paths.get(layer):
                modules = [model.get_submodule(path) for path in model.module_paths[layer]]
            else:
                modules = [model.get_submodule(layer)]
            for module in modules:
                seen, pre = [], []
                handles = [
                    module.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.shape)),
                    module.register_forward_pre_hook(lambda m, i, pre=pre: pre.append(i[0])),
                ]
                torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)
                shown = [shape for shape in seen if shape[0] == B]
                assert len(seen) == len(pre) == len(shown) + model.idle_steps
                late = sum(model.feedforward_delay_steps(name) for name in model.chain)
                assert model.n_timesteps + model.n_residual_timesteps - late <= len(shown)
                assert len(shown) <= model.n_timesteps + model.n_residual_timesteps
                assert all(len(shape) == 4 for shape in shown)
                for handle in handles:
                    handle.remove()
        assert torch.equal(model(x), before)  # nothing is left behind


@pytest.mark.parametrize("case", CASES)
def test_in_every_family_a_hook_on_any_module_is_called_or_refused(case):
    model = build_small(case, n_steps=5).double().eval()  # recurrence begins after 3
    x = images(model, 1).double()
    optional = ("shortcut", "norms", "downsample")
    with torch.no_grad():
        reference = model(x)
        for name, module in model.named_modules():
            if module is model or any(word in name for word in optional) or isinstance(module, nn.ModuleList):
                continue
            calls = []
            handle = module.register_forward_hook(lambda m, i, o, calls=calls: calls.append(1))
            try:
                y = model(x)
            except InputError as error:
                assert f"a hook on {name} is never called" in str(error) and "observers" in str(error)
            else:
                assert calls or _is_a_loss(name), name
                torch.testing.assert_close(y, reference, rtol=1e-4, atol=1e-5)
            handle.remove()


def _is_a_loss(name):
    return name.startswith("losses") or "parametrizations" in name


@pytest.mark.filterwarnings("error")
def test_a_full_backward_hook_hears_the_gradient_at_every_step():
    """Torch warns of a hook on a layer whose input has no gradient, as an image has none by itself."""
    model = dyrcnn("delays")
    heard = []
    model.layer1.register_full_backward_hook(
        lambda m, i, o: heard.append((o[0].shape, o[0].abs().sum().item()))
    )
    model(video_of(model).requires_grad_()).square().sum().backward()
    shapes = {shape for shape, _ in heard}
    assert shapes == {(B, 36, 8, 8)} and len(heard) >= model.n_timesteps
    assert any(size > 0 for _, size in heard)


def test_attribution_by_a_hook_is_the_gradient_of_the_layer():
    """As GradCAM takes it: activity and its gradient of the same call, here the last one."""
    model = dyrcnn("none").eval()
    kept = []
    model.layer2.register_forward_hook(lambda m, i, o: kept.append(o) or o.retain_grad())
    score = model(video_of(model)[:, 0])[:, -1, 1].sum()
    score.backward()
    assert len(kept) == model.n_timesteps
    drive = kept[-1]
    assert drive.grad.shape == drive.shape == (B, 64, 4, 4)
    assert drive.grad.abs().sum() > 0


def test_hooks_of_operations_with_a_memory_and_of_the_read_out():
    model = dyrcnn("rk4")
    calls = {"adapt_layer1": 0, "suppress_layer1": 0, "classifier": 0}
    for name in calls:

        def count(module, arguments, output, name=name):
            calls[name] += 1

        model.get_submodule(name).register_forward_hook(count)
    reference = dyrcnn("rk4")(video_of(model))
    torch.testing.assert_close(model(video_of(model)), reference)
    assert set(calls.values()) == {model.n_timesteps}
    model.adapt_layer1.register_forward_hook(lambda m, i, o: (0 * o[0], o[1]))
    assert (model(video_of(model)) - reference).abs().max() > 1e-3


def test_a_hook_for_every_module_of_torch():
    model = dyrcnn("default")
    reference, heard = model(video_of(model)), set()
    handle = nn.modules.module.register_module_forward_hook(lambda m, i, o: heard.add(id(m)))
    try:
        torch.testing.assert_close(model(video_of(model)), reference)
    finally:
        handle.remove()
    assert {id(model.layer1), id(model.layer2), id(model.nonlin), id(model.tstep_layer1)} <= heard


def test_a_plan_of_before_and_a_hook_on_the_whole_model():
    model = dyrcnn("default").eval()
    x = video_of(model)[:, 0]
    plan = model.plan()
    state = model.initial_state(B, plan)
    handle = model.layer1.register_forward_hook(halve)
    with pytest.raises(
        InputError, match=r"hooks were registered or removed since the plan was made; .*plan\(\)"
    ):
        model.step(x, state, plan)
    lesioned, _ = model.step(x, model.initial_state(B))
    handle.remove()
    assert not torch.allclose(lesioned, model.step(x, state, plan)[0])
    model.register_forward_pre_hook(lambda m, i: (2 * i[0],))
    assert model(x).shape == (B, 9, 3)
    with pytest.raises(
        InputError, match=r"hook on the whole DyRCNNx2 receives calls of the model, and not step\(\)"
    ):
        model.step(x, state)


def test_signals_that_cannot_be_told_apart_any_more():
    model = create(
        "DyRCNNx2",
        input_dims=(4, 1, 8, 8),
        n_classes=3,
        criterion_params=[("CrossEntropyLoss", {}), ("ActivityLoss", {"monitor": "recurrent"})],
    )
    model.layer1.register_forward_hook(halve)
    with pytest.raises(InputError, match="layer layer1 has hooks and is called as a whole"):
        model.respond((torch.randn(2, 1, 8, 8), torch.tensor([0, 1])), shuffle=False)


class Frames(BaseModel):
    def _define_architecture(self):
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        return self.conv(x).mean(dim=(2, 3))


def test_hooks_inside_a_forward_of_ones_own():
    model, seen = Frames(input_dims=(T, 1, 8, 8), n_classes=3), []
    model.conv.register_forward_hook(lambda m, i, o: seen.append(o.shape))
    model(torch.randn(B, 1, 8, 8))
    assert seen == [(B, 3, 6, 6)] * T


# --- weights that hooks compute --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "prune"])
def test_weights_that_hooks_compute_are_those_of_every_stretch(kind):
    plain = dyrcnn("default")
    changed = copy.deepcopy(plain)
    for name in ("layer1.conv", "layer2.recurrence", "classifier"):
        module = changed.get_submodule(name)
        if kind == "prune":
            prune.custom_from_mask(module, "weight", torch.rand_like(module.weight) > 0.5)
        else:
            getattr(nn.utils, kind)(module)
    changed.eval()  # no power iteration
    video = video_of(plain)
    for scale in (1.0, 0.5):  # the second time the weights of the first must not be there any more
        with torch.no_grad():
            for name in ("layer1.conv", "layer2.recurrence", "classifier"):
                module = changed.get_submodule(name)
                source = module.weight_g if kind == "weight_norm" else module.weight_orig
                source.mul_(scale)
                for hook in module._forward_pre_hooks.values():
                    hook(module, None)
                plain.get_submodule(name).weight.copy_(module.weight)
        for block in (None, 1, 4):
            changed.block_steps = plain.block_steps = block
            y = changed(video)
            torch.testing.assert_close(y, plain.eval()(video), rtol=1e-10, atol=1e-12)
    assert not model_hooks(changed)
    y.square().sum().backward()
    assert all(p.grad is not None for n, p in changed.named_parameters() if "weight" in n)
    assert len(changed.layer1.conv._forward_pre_hooks) == 1  # and they are still there


def model_hooks(model):
    return model.plan().hooked


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_that_hooks_compute_are_not_compiled():
    model = dyrcnn("default").eval()
    assert not computes_weights(model)
    nn.utils.weight_norm(model.layer1.conv)
    assert computes_weights(model)
    state, plan = model.initial_state(1), model.plan()
    torch.compiler.reset()
    with pytest.raises(Exception, match="hooks compute weights of this model, which cannot be compiled"):
        torch.compile(model.step, fullgraph=True, backend="eager")(video_of(model, 1)[:, 0], state, plan)


def test_power_iteration_of_a_spectral_norm_is_once_a_stretch():
    torch.manual_seed(0)
    results = []
    for block in (1, 3, None):
        torch.manual_seed(0)
        model = dyrcnn("default")
        nn.utils.spectral_norm(model.layer1.conv)
        model.train().block_steps = block
        results.append(model(video_of(model)).detach())
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(results[0], results[2], rtol=1e-10, atol=1e-12)


def test_parametrised_weights_and_hooks_go_together():
    model = dyrcnn("default")
    parametrizations.weight_norm(model.layer1.conv)
    before = model(video_of(model))
    model.layer1.register_forward_hook(lambda m, i, o: None)
    torch.testing.assert_close(model(video_of(model)), before)
