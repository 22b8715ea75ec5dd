"""The update rules of published networks, a second time: plain loops on tensors by their published names.

Each function takes a dictionary of weights and an image (B, C, H, W), and returns the logits of every step, (B, T, K).
Nothing here is shared with the package.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def cornet_z(w, x):
    for area, stride in (("V1", 2), ("V2", 1), ("V4", 1), ("IT", 1)):
        kernel = w[f"{area}.conv.weight"].shape[-1]
        x = F.conv2d(x, w[f"{area}.conv.weight"], w[f"{area}.conv.bias"], stride, kernel // 2)
        x = F.max_pool2d(x.relu(), 3, 2, 1)
    return decoder(w, x)[:, None]


def cornet_rt(w, x, steps, same_step=False):
    """RT, or with ``same_step`` R."""
    batch, size = len(x), (x.shape[-2] // 4, x.shape[-1] // 4)
    states, logits = {}, []
    for t in range(steps):
        before = dict(states)
        for k, area in enumerate(("V1", "V2", "V4", "IT")):
            below = ("V1", "V2", "V4")[k - 1] if k else None
            if t == 0 and below:
                channels = len(w[f"{area}.conv_input.weight"])
                i = torch.zeros(batch, channels, size[0] // 2**k, size[1] // 2**k, dtype=x.dtype)
            else:
                heard = x if below is None else states[below] if same_step else before[below]
                conv = w[f"{area}.conv_input.weight"], w[f"{area}.conv_input.bias"]
                i = F.conv2d(heard, *conv, 2 if k else 4, conv[0].shape[-1] // 2)
                i = group_norm(w, f"{area}.norm_input", i).relu()
            if area in before:
                i = i + before[area]
            y = F.conv2d(i, w[f"{area}.conv1.weight"], None, 1, 1)
            states[area] = group_norm(w, f"{area}.norm1", y).relu()
        logits.append(decoder(w, states["IT"]))
    return torch.stack(logits, dim=1)


def cornet_s(w, x, training=False):
    def norm(name, x):
        return batch_norm(w, name, x, training)

    x = norm("V1.norm1", F.conv2d(x, w["V1.conv1.weight"], None, 2, 3)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    x = norm("V1.norm2", F.conv2d(x, w["V1.conv2.weight"], None, 1, 1)).relu()
    for area, times in (("V2", 2), ("V4", 4), ("IT", 2)):
        x = F.conv2d(x, w[f"{area}.conv_input.weight"])
        for t in range(times):
            if t == 0:
                skip = norm(f"{area}.norm_skip", F.conv2d(x, w[f"{area}.skip.weight"], None, 2))
            else:
                skip = x
            x = norm(f"{area}.norm1_{t}", F.conv2d(x, w[f"{area}.conv1.weight"])).relu()
            x = F.conv2d(x, w[f"{area}.conv2.weight"], None, 2 if t == 0 else 1, 1)
            x = norm(f"{area}.norm2_{t}", x).relu()
            x = norm(f"{area}.norm3_{t}", F.conv2d(x, w[f"{area}.conv3.weight"]))
            x = (x + skip).relu()
    return decoder(w, x)[:, None]


def cordsnet(w, image, steps, idle_steps, alpha=0.2, for_each_area=False):
    """Areas from the last to the first, so that each hears the step before of the areas below; idle at full batch.

    ``for_each_area`` convolves the image again for each area, as the published code does; the result is the same.
    """
    depth = sum(name.startswith("conv_bias.") for name in w)
    r = [image.new_zeros(len(image), *w[f"conv_bias.{k}"].shape) for k in range(depth)]
    with torch.no_grad():
        for _ in range(idle_steps):
            cordsnet_step(w, torch.zeros_like(image), r, alpha, for_each_area)
    logits = []
    for _ in range(steps):
        cordsnet_step(w, image, r, alpha, for_each_area)
        out = (r[-1].relu() + r[-2].relu()).mean(dim=(2, 3))
        logits.append(F.linear(out, normalised(w, "out_fc"), w["out_fc.bias"]))
    return torch.stack(logits, dim=1)


def cordsnet_step(w, image, r, alpha, for_each_area):
    """One step of all areas, from the last to the first; ``r`` is changed in place."""
    for k in reversed(range(len(r))):
        if for_each_area or k == len(r) - 1:
            inp = F.avg_pool2d(conv(w, "inp_conv", image, 2, 3), 3, 2, 1)
        if k == 0:
            heard = inp
        elif k == 1:
            heard = r[0].relu() + conv(w, "inp_skip", inp, 1, 1)
        elif k % 2 == 0:
            heard = r[k - 1].relu() + r[k - 2].relu()
        else:
            heard = r[k - 1].relu() + conv(w, f"skip_area.{k // 2 - 1}", r[k - 2].relu(), 2, 0)
        drive = conv(w, f"area_conv.{k}", r[k], 1, 1) + w[f"conv_bias.{k}"]
        drive = drive + conv(w, f"area_area.{k}", heard, 2 if k in (2, 4, 6) else 1, 1)
        r[k] = (1 - alpha) * r[k] + alpha * drive.relu()


def blt(w, image, steps, biological=False, training=False):
    """Names: ``B.l``, ``L.l``, ``T.l`` (none for BL), ``norm.l.t.*``, ``readout.*``; t from the layer's own start."""
    n = sum(name.startswith("B.") for name in w)
    r, age, logits = [None] * n, [0] * n, []
    bottom_up = F.conv2d(image, w["B.0"], None, 1, w["B.0"].shape[-1] // 2)
    for _ in range(steps):
        before = list(r)
        for k in range(n):
            below = (before if biological else r)[k - 1]
            if k and below is None:
                continue
            padding = w[f"B.{k}"].shape[-1] // 2
            z = bottom_up if k == 0 else F.conv2d(F.max_pool2d(below, 2), w[f"B.{k}"], None, 1, padding)
            if before[k] is not None:
                z = z + F.conv2d(before[k], w[f"L.{k}"], None, 1, padding)
            if f"T.{k}" in w and before[k + 1] is not None:
                z = z + F.conv2d(F.interpolate(before[k + 1], z.shape[-2:]), w[f"T.{k}"], None, 1, padding)
            own = min(age[k], max(int(name.split(".")[2]) for name in w if name.startswith("norm.")))
            r[k] = batch_norm(w, f"norm.{k}.{own}", z, training).relu()
            age[k] += 1
        heard = before[-1] if biological else r[-1]
        out = torch.zeros(len(image), len(w["readout.bias"]), dtype=image.dtype)
        if heard is not None:
            out = F.linear(heard.mean(dim=(2, 3)), w["readout.weight"], w["readout.bias"])
        logits.append(out)
    return torch.stack(logits, dim=1)


# --- parts -------------------------------------------------------------------------------------------------------------


def decoder(w, x):
    return F.linear(x.mean(dim=(2, 3)), w["decoder.linear.weight"], w["decoder.linear.bias"])


def group_norm(w, name, x):
    return F.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"])


def batch_norm(w, name, x, training):
    if training:
        mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
    else:
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    x = (x - mean[:, None, None]) / (var + 1e-5).sqrt()[:, None, None]
    return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def normalised(w, name):
    g, v = (w[f"{name}.parametrizations.weight.original{k}"] for k in (0, 1))
    norm = v.flatten(1).norm(dim=1).view(-1, *[1] * (v.dim() - 1))
    return g * v / norm


def conv(w, name, x, stride, padding):
    return F.conv2d(x, normalised(w, name), None, stride, padding)
