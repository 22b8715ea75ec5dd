"""The core of every model: layers and operations by name, run in time by the engine.

    trial = [t_idle: null input, not recorded, no gradient] [presentation: T steps] [residual: R steps of null input]

A subclass defines ``layer_names`` and ``layer_operations`` and builds the modules they name in ``_define_architecture``.
For a layer ``V1`` the operation ``nonlin`` is the module ``nonlin_V1``, else ``nonlin``; ``layer`` is the module ``V1``,
``record`` marks what is recorded and ``delay`` where the activity is kept and delayed by ``t_feedforward``. A module that
lies deeper, or a row of them, is named in ``module_paths``: ``{"V1": ["features.0"], "pool_V1": ["features.2"]}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dynvision.base.architecture import (
    DEFAULT_OPERATIONS,
    Architecture,
    constructor_arguments,
    parse_input_dims,
    whole_number,
)
from dynvision.base.cuda_graphs import CudaGraphs, is_plain
from dynvision.base.engine import advance, running_statistics
from dynvision.base.frames import Frames, ModelState, every, gather_logits, stretches
from dynvision.base.hooks import is_hooked, weights_once
from dynvision.base.inputs import as_video, check_frames, check_state, check_width
from dynvision.base.observers import INSIDE_SCAN, Observer, Recordable, TrialShape, Watch, joined, shifted
from dynvision.base.own_methods import (
    adopt_methods,
    own_forward,
    refuse_engine_within_frame,
    refuse_replaced_forward,
)
from dynvision.base.padded_channels import can_pad, pads_here
from dynvision.base.plan import Plan
from dynvision.base.versions import ModelVersion, ModelVersions
from dynvision.config.model import RecurrentArgs
from dynvision.errors import InputError, unknown_name
from dynvision.functional.maps import is_transformed, is_under_torch_func
from dynvision.model_components.timing import StatefulOperation
from dynvision.units import ms_to_steps

ARGS = RecurrentArgs()  # every default of a model is written once, in the schema


class TemporalBase(Recordable, Architecture):
    """A network of named layers with delays, run in time.

    Args:
        input_dims: (T, C, H, W): steps of a presentation, channels, height and width; or (C, H, W).
        n_classes: number of classes, K; without it the read-out decides, and an architecture that asks for it is refused.
        n_timesteps: steps of a presentation; by default ``input_dims[0]``.
        dt: integration step in ms.
        tau: time constant in ms, for subclasses to use.
        t_feedforward: delay from each layer to the next in ms; one value, or by layer (:mod:`dynvision.config.section`).
        t_idle: null input before each presentation in ms.
        feedforward_only: leave out recurrence and feedback.
        without_skip: leave out skip connections.
        lesion, lesion_gain, t_lesion_start, t_lesion_end: a connection that is cooled, how much of its signal passes, and
            from when to when, in ms from stimulus onset (:mod:`dynvision.base.lesion`).
        non_input_value: value of the null input.
        block_steps: steps that are computed at once; None chooses by device and size. It changes speed, not results.
        checkpoint_segments: parts of a trial whose activity is computed again in the backward pass instead of kept; 0 keeps
            everything. With sqrt(T) parts the memory of training grows with sqrt(T). It changes no result.
        cuda_graphs: on a GPU, capture a trial that comes again in the same shape and replay it, except with
            ``checkpoint_segments`` (:mod:`dynvision.base.cuda_graphs`). It changes speed, not results.

    Raises:
        InputError: an argument that no class of the model knows, or a value that is not possible.
    """

    call_super_init = True  # so that mixins after nn.Module in the resolution order are constructed too

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adopt_methods(cls, TemporalBase)

    @classmethod
    def known_arguments(cls) -> set[str]:
        """Names of all arguments of the class."""
        return constructor_arguments(cls)

    def __init__(
        self,
        input_dims: Sequence[int] = (20, 3, 224, 224),
        n_classes: int | None = None,
        n_timesteps: int | None = None,
        dt: float = ARGS.dt,
        tau: float = ARGS.tau,  # type: ignore[assignment]
        t_feedforward: float | Mapping[str, float] = ARGS.t_feedforward,
        t_idle: float = ARGS.t_idle,
        feedforward_only: bool = ARGS.feedforward_only,
        without_skip: bool = False,
        lesion: str = ARGS.lesion,
        lesion_gain: float = ARGS.lesion_gain,
        t_lesion_start: float | None = ARGS.t_lesion_start,
        t_lesion_end: float | None = ARGS.t_lesion_end,
        non_input_value: float = ARGS.non_input_value,
        block_steps: int | None = None,
        checkpoint_segments: int = 0,
        cuda_graphs: bool = True,
        **kwargs: Any,
    ) -> None:
        known = self.known_arguments()
        for name in kwargs:
            if name not in known:
                raise unknown_name("argument", name, known)
        super().__init__(**kwargs)
        self._defining, self._within_frame = False, False
        self._resetting: list[Any] = []
        steps, self.n_channels, self.height, self.width = parse_input_dims(input_dims)
        self.n_timesteps = steps if n_timesteps is None else whole_number("n_timesteps", n_timesteps, 1)
        self.input_dims = (self.n_timesteps, self.n_channels, self.height, self.width)
        self._n_classes = None if n_classes is None else whole_number("n_classes", n_classes, 1)
        self.dt, self.tau = float(dt), tau
        self.t_feedforward, self.t_idle = t_feedforward, float(t_idle)
        self.feedforward_only, self.without_skip = feedforward_only, without_skip
        self.lesion, self.lesion_gain = lesion, lesion_gain
        self.t_lesion_start, self.t_lesion_end = t_lesion_start, t_lesion_end
        self.onset_steps = 0  # of the stimulus, after the idle time; an experiment has a baseline
        self.non_input_value = float(non_input_value)
        self.block_steps, self.checkpoint_segments = block_steps, checkpoint_segments
        self._versions = ModelVersions()
        self.cuda_graphs, self._graphs = cuda_graphs, CudaGraphs()
        self.idle_steps = ms_to_steps(self.t_idle, self.dt, "t_idle")
        self.layer_names: Sequence[str] = ()
        self.layer_operations: Sequence[str] = DEFAULT_OPERATIONS
        self.classifier_name = "classifier"
        self._residual_override: int | None = None
        self._define_architecture()
        if self.lesion:
            self.plan()  # refuses a connection that there is not

    # --- running ----------------------------------------------------------------------------------------------------

    def forward(
        self,
        x_0: Tensor,
        store_responses: bool = False,
        feedforward_only: bool | None = None,
        shown: Sequence[bool] | None = None,
        truncate_steps: int = 0,
        observer: Observer | None = None,
        watch: Watch | None = None,
    ) -> Tensor:
        """Run one trial for every element of a batch, from the idle state.

        Args:
            x_0: images (B, C, H, W), shown for ``n_timesteps``; or videos (B, T, C, H, W).
            store_responses: keep the responses, where the class has storage (:class:`dynvision.base.StorageBuffer`).
            feedforward_only: leave out recurrence and feedback; by default as the model was built.
            shown: whether the input is on at each of the T steps; elsewhere the null input is shown.
            truncate_steps: cut the gradient every so many steps; 0 never does.
            observer: called with a layer's name and its recorded activity, step 0 being the first of the presentation.
            watch: further observers by the quantity that they receive: ``state`` as above, ``drive``, ``recurrent`` or
                ``conv`` (see :mod:`dynvision.base.observers`).

        Returns:
            Outputs (B, T + R, n_classes), zero while nothing has arrived.

        Raises:
            InputError: an input of another shape, or ``shown`` of another length than the presentation.
        """
        refuse_engine_within_frame(self)
        x = as_video(x_0, self, self.image)
        n_steps = self.n_timesteps if x.shape[1] == 1 else x.shape[1]
        version = None if is_transformed() else self._version_now()
        plan = self._plan_of(version, feedforward_only)
        if shown is not None and len(shown) != n_steps:
            raise InputError(f"shown has {len(shown)} entries for a presentation of {n_steps} steps")
        presented = (True,) * n_steps if shown is None else tuple(shown)
        on = presented + (False,) * self.n_residual_timesteps
        shape = TrialShape(x.shape[0], len(on), self.chain, self.classifier_name)
        recorder = self.open_recording(shape, store_responses)
        observers = joined(observer, recorder, watch=watch)

        if pads_here(x) and INSIDE_SCAN.isdisjoint(observers) and can_pad(plan):
            plan = replace(plan, padded=True)

        begun = self._begin_operations(plan)
        tensors = [key for key, value in begun.items() if isinstance(value, Tensor)]

        def run(inputs: Sequence[Tensor], observers: Watch) -> Tensor:
            begin = begun | dict(zip(tensors, inputs[1:], strict=True))
            return self._run_trial(inputs[0], on, truncate_steps, plan, observers, begin)

        inputs = (x, *(begun[key] for key in tensors))
        # What Python does at every call, as hooks do, is in no graph.
        graphs = version is not None and x.is_cuda and self.cuda_graphs and not self.checkpoint_segments
        plain = not plan.hooked and all(map(is_plain, begun.values()))
        if version is not None and graphs and plain and not version.computes_weights:
            others = repr([value for key, value in begun.items() if key not in tensors])
            key = (on, truncate_steps, plan.key, others)
            logits = self._graphs.run(version, key, run, inputs, observers)
        else:
            logits = run(inputs, observers)
        if recorder is not None:
            recorder.finish(logits)
        return logits

    def _run_trial(
        self,
        x: Tensor,
        on: Sequence[bool],
        truncate_steps: int,
        plan: Plan,
        observers: Watch,
        begun: dict[tuple[str, str], Any],
    ) -> Tensor:
        """All steps of a trial, from the idle state; ``on`` is whether the input is on, residual steps included."""
        state = self._idle_state(x.shape[0], plan, begun)
        null = self.null_input(x.shape[0])
        outputs: list[Tensor] = []
        recompute = bool(self.checkpoint_segments) and torch.is_grad_enabled()
        cuts = {*every(truncate_steps, len(on))}
        if recompute:
            cuts |= {*every(-(-len(on) // self.checkpoint_segments), len(on))}
        for first, frames in stretches(x, null, on, cuts):
            end = first + frames.n
            if recompute:
                state = state.compact(plan.horizon)
                output, state = checkpoint(
                    self._advance, frames, state, plan, shifted(observers, first), use_reentrant=False
                )
            else:
                output, state = self._advance(frames, state, plan, shifted(observers, first))
            outputs.append(output)
            if truncate_steps and end % truncate_steps == 0:
                state = state.detach()
        return torch.cat(outputs, dim=1)

    def advance(
        self,
        frames: Frames,
        state: ModelState,
        plan: Plan | None = None,
        observer: Observer | None = None,
        watch: Watch | None = None,
    ) -> tuple[Tensor, ModelState]:
        """Resume from a state with a stretch of input.

        Args:
            frames: input for n steps, from step 0 on.
            state: the state before them.
            plan: the plan that the state began with; by default the model's own.
            observer, watch: as in :meth:`forward`, step 0 being the first of ``frames``.

        Returns:
            Outputs (B, n, n_classes) and the state after the last step.

        Raises:
            InputError: frames of another shape, type or device than the model's, a state of another batch or model, or a
                ``forward`` that was assigned to the object.
        """
        if is_hooked(self):
            raise InputError(
                f"a hook on the whole {type(self).__name__} receives calls of the model, and not step() and advance(), as "
                "in an experiment; register it on a layer, or make it an operation before the first layer"
            )
        refuse_replaced_forward(self)
        plan = self.plan() if plan is None else plan
        check_frames(frames, self, self.image)
        if not isinstance(state, ModelState):
            raise InputError(
                f"the state is a {type(state).__name__}; begin with initial_state({frames.batch}), or give the state that "
                "the last step returned"
            )
        check_state(frames, state, plan, self, self._hooked())
        return self._advance(frames, state, plan, joined(observer, watch=watch))

    def _advance(
        self, frames: Frames, state: ModelState, plan: Plan, observers: Watch
    ) -> tuple[Tensor, ModelState]:
        """As :meth:`advance`, of frames, a state and a plan that fit."""
        values = frames.values
        if not is_under_torch_func():  # vmap knows no memory format
            values = values.contiguous(memory_format=torch.channels_last)
        frames = Frames(frames.first, frames.n, values, frames.constant)
        with weights_once(self):
            outputs, state = advance(plan, frames, state, self.block_steps, observers)
            if plan.hooked:  # the read-out, too, goes from step to step
                outputs = [piece for output in outputs for piece in output.cut(1)]
            logits = gather_logits(outputs, frames, self.read_out, lambda: self.n_classes)
            check_width(logits.shape[-1], self._n_classes)
            return logits, state

    def step(self, frame: Tensor, state: ModelState, plan: Plan | None = None) -> tuple[Tensor, ModelState]:
        """One step of streaming inference.

        Args:
            frame: images (B, C, H, W).
            state: from :meth:`initial_state` or the step before.
            plan: the model's plan, made once; ``torch.compile`` needs it, since to make a plan is plain Python.

        Returns:
            Outputs (B, n_classes) and the new state.

        Raises:
            InputError: as of :meth:`advance`.
        """
        version = None if is_transformed() else self._version_now()
        plan = self._plan_of(version) if plan is None else plan
        if version is None or not self._captures_step(version, frame, state, plan):
            logits, state = self.advance(Frames(0, 1, frame), state, plan)
            return logits[:, 0], state
        check_frames(Frames(0, 1, frame), self, self.image)
        check_state(Frames(0, 1, frame), state, plan, self, version.hooked)

        def step(inputs: Sequence[Tensor]) -> tuple[list[Tensor], ModelState]:
            logits, after = self._advance(Frames(0, 1, inputs[0]), state.with_tensors(inputs[1:]), plan, {})
            return [logits[:, 0], *after.tensors()], after

        key = ("step", plan.key, state.layout)
        (outputs, *parts), after = self._graphs.step(version, key, step, (frame, *state.tensors()))
        return outputs, after.with_tensors(parts)

    def _captures_step(self, version: ModelVersion, frame: Tensor, state: ModelState, plan: Plan) -> bool:
        """Whether a step may be replayed from a CUDA graph: one like those that follow, without a gradient."""
        given = isinstance(frame, Tensor) and isinstance(state, ModelState)
        if not (given and frame.is_cuda and self.cuda_graphs and state.age == plan.settled):
            return False
        if torch.is_grad_enabled() or plan.hooked or version.hooks_on or version.computes_weights:
            return False
        return all(map(is_plain, state.operations.values()))

    def initial_state(self, batch: int, plan: Plan | None = None) -> ModelState:
        """The state at stimulus onset: nothing yet, or after ``t_idle`` ms of null input.

        The idle state does not depend on the image: it is computed for one element, without gradient, and expanded.

        Args:
            batch: number of images, >= 1.
            plan: as for :meth:`step`.

        Raises:
            InputError: no image.
        """
        if batch < 1:
            raise InputError(f"batch={batch} images must be at least 1")
        plan = self.plan() if plan is None else plan
        return self._idle_state(batch, plan, self._begin_operations(plan))

    def _begin_operations(self, plan: Plan) -> dict[tuple[str, str], Any]:
        """What stateful operations begin a trial with, on the model's device where it is a tensor."""
        begun = {
            (layer.name, operation.name): operation.module.start()
            for layer in plan.layers
            for operation in layer.operations
            if isinstance(operation.module, StatefulOperation)
        }
        device = next(self.parameters()).device
        return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in begun.items()}

    def _idle_state(self, batch: int, plan: Plan, begun: dict[tuple[str, str], Any]) -> ModelState:
        """:meth:`initial_state` from what stateful operations begin with."""
        if not self.idle_steps:
            return ModelState(0, batch, operations=begun, origin=plan.origin)
        with torch.no_grad(), running_statistics(self):
            idle = Frames(0, self.idle_steps, self.null_input(1), constant=True)
            begin = ModelState(0, 1, operations=begun, origin=plan.origin)
            check_state(idle, begin, plan, self, self._hooked())
            _, state = self._advance(idle, begin, plan, {})
        return state.expand(batch)

    def null_input(self, batch: int) -> Tensor:
        """The null input, (B, C, H, W)."""
        like = next(self.parameters())
        shape = (batch, self.n_channels, self.height, self.width)
        return torch.full(shape, self.non_input_value, device=like.device, dtype=like.dtype)

    def read_out(self, signal: Tensor) -> Tensor:
        """Outputs from the last layer's signal.

        A linear classifier receives the mean over space; what has more axes then is flattened. Outputs of a ``forward``
        of one's own are outputs already.

        Args:
            signal: the last layer's activity, (n B, C, H, W).

        Returns:
            (n B, n_classes).
        """
        classifier = self._modules.get(self.classifier_name)
        if classifier is not None and own_forward(self) is None:
            if isinstance(classifier, nn.Linear) and signal.dim() == 4:
                signal = signal.mean(dim=(2, 3))
            signal = classifier(signal)
        return signal.flatten(1)
