"""Filling a residual network from weights that were trained elsewhere."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.backend import import_gluoncv, mx
from gluon_dkpr.model_zoo.imagenet import imagenet_file
from gluon_dkpr.model_zoo.pose_net import PoseNet
from gluon_dkpr.model_zoo.weights import StoredTensor, WeightsError, open_weights
from gluon_dkpr.model_zoo.zoo import RESNETS
from gluon_dkpr.types import Array

# Blocks of the four layers, and whether they are bottlenecks. The same in torchvision.
_DEPTHS = {
    ((2, 2, 2, 2), False): "resnet18_v1b",
    ((3, 4, 6, 3), False): "resnet34_v1b",
    ((3, 4, 6, 3), True): "resnet50_v1b",
    ((3, 4, 23, 3), True): "resnet101_v1b",
    ((3, 8, 36, 3), True): "resnet152_v1b",
}
# torch's names of a batch normalisation's parameters.
_TORCH_NORM = re.compile(r"(?P<layer>(?:.*\.)?(?:bn\d|downsample\.1))\.(?P<leaf>weight|bias)")
_GLUON_LEAF = {"weight": "gamma", "bias": "beta"}
# The classifier, and a counter of torch's that Gluon does not have.
_UNUSED = re.compile(r"fc\..*|.*\.num_batches_tracked")
# A parameter that every residual network has once; what stands before it is the prefix of all.
_LANDMARK = "layers1_conv0_weight"


def load_pretrained(net: PoseNet, name: str, source: str) -> None:
    """Fill the backbone of a network; the last dense layer and the head stay as they are.

    The stride of a bottleneck is in its 3x3 convolution both in GluonCV's v1b and in torchvision,
    and both add 1e-5 to a batch's variance, so outputs agree. Both were trained on images in the
    order red, green, blue, 0 to 1, minus (0.485, 0.456, 0.406), by (0.229, 0.224, 0.225).

    Args:
        net: network whose parameters are initialised, on any devices.
        name: its name in the model zoo.
        source: ``"none"``; ``"imagenet"`` for the weights of GluonCV's model store, see
            ``model_zoo.imagenet``; or a file: Gluon ``.params`` of
            GluonCV's network or of a run's checkpoint, a torchvision ResNet's state dict (``.pth``
            of either container, or ``.safetensors``).

    Raises:
        WeightsError: if the weights cannot be had, are damaged, not finite, or of another network.
            The network is unchanged then.
    """
    if source == "none":
        return
    if name not in RESNETS:
        raise WeightsError(f"no pretrained weights fit {name!r}, expected one of {list(RESNETS)}")
    path = imagenet_file(name) if source == "imagenet" else source
    slots = _slots(net, name)
    with open_weights(path) as stored:
        names = _match(name, slots, _canonical_names(stored, net, slots), stored)
        arrays = [_read(stored[names[slot]], slot) for slot in slots]
    for slot, array in zip(slots.values(), arrays):
        slot.parameter.set_data(mx.nd.array(array))


class _Slot(NamedTuple):
    """A parameter of the backbone: its name without prefix, shape, and the parameter itself."""

    short: str
    shape: Tuple[int, ...]
    parameter: mx.gluon.Parameter


def _slots(net: PoseNet, name: str) -> Dict[str, _Slot]:
    """Return the parameters of the backbone by the names they have in GluonCV's own network."""
    own = import_gluoncv().model_zoo.get_model(name)
    own.infer_shape(mx.nd.zeros((1, 3, 32, 32)))
    parameters = net.features.collect_params()
    prefix = _prefix(parameters)
    slots = {}
    # The names that Gluon's save_parameters writes; there is no public way to them.
    for canonical, parameter in own._collect_params_with_prefix().items():
        if not _UNUSED.fullmatch(canonical):
            short = parameter.name[len(own.prefix) :]
            slots[canonical] = _Slot(short, parameter.shape, parameters[prefix + short])
    return slots


def _prefix(names: Iterable[str]) -> Optional[str]:
    """Return what Gluon put before the names of a residual network's parameters."""
    found = [name[: -len(_LANDMARK)] for name in names if name.endswith(_LANDMARK)]
    return min(found, key=len, default=None)


def _canonical_names(names: Iterable[str], net: PoseNet, slots) -> Dict[str, str]:
    """Return {name in GluonCV's network: name in the file}; names that nobody knows stay.

    What belongs to no backbone is left out: classifier, head, last layer, counters.
    """
    names = list(names)
    prefix = _prefix(map(_bare, names))
    if any(name.startswith("features.") for name in names):
        renamed = _from_pose_net(names, net, slots)
    elif prefix is not None:
        renamed = _from_parameters(names, prefix, slots)
    else:
        renamed = {name: _from_torch(name) for name in names if not _UNUSED.fullmatch(name)}
    return {canonical: name for name, canonical in renamed.items()}


def _bare(name: str) -> str:
    """Return a name without the kind that an exported graph's parameters have before it."""
    return re.sub(r"^(arg|aux):", "", name)


def _from_parameters(names: List[str], prefix: str, slots) -> Dict[str, str]:
    """Return {name of a Gluon parameter: canonical name} for those that begin with the prefix."""
    canonical = {slot.short: name for name, slot in slots.items()}
    own = {name: _bare(name)[len(prefix) :] for name in names if _bare(name).startswith(prefix)}
    return {
        name: canonical.get(short, short)
        for name, short in own.items()
        if not short.startswith("dense")
    }


def _from_torch(name: str) -> str:
    found = _TORCH_NORM.fullmatch(name)
    return f"{found['layer']}.{_GLUON_LEAF[found['leaf']]}" if found else name


def _from_pose_net(names: List[str], net: PoseNet, slots) -> Dict[str, str]:
    """Return {name in a run's checkpoint: canonical name}: ``features.4`` may be ``layer1``."""
    canonical = {slot.parameter: name for name, slot in slots.items()}
    known = net._collect_params_with_prefix()
    parts = {}
    for name, parameter in known.items():
        if parameter in canonical:
            part = ".".join(name.split(".")[:2])
            parts[part] = canonical[parameter].split(".")[0]
    renamed = {}
    for name in names:
        part, rest = ".".join(name.split(".")[:2]), name.split(".")[2:]
        if part in parts:
            renamed[name] = ".".join([parts[part], *rest])
        elif name.startswith("features.") and name not in known:
            renamed[name] = name
    return renamed


def _match(name: str, slots, names: Dict[str, str], stored: Dict[str, StoredTensor]):
    """Return {canonical name: name in the file} for exactly the slots, or say what does not fit."""
    missing = [slot for slot in slots if slot not in names]
    unknown = [found for slot, found in names.items() if slot not in slots]
    problems = []
    if missing:
        problems.append(f"{len(missing)} parameters are missing ({_few(missing)})")
    if unknown:
        problems.append(f"{len(unknown)} parameters are unknown ({_few(unknown)})")
    wrong = [
        f"{slot} has shape {stored[names[slot]].shape}, expected {expected.shape}"
        for slot, expected in slots.items()
        if slot in names and stored[names[slot]].shape != expected.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more have wrong shapes" if len(wrong) > 1 else ""
        problems.append(wrong[0] + more)
    if problems:
        guess = _guess(names) or "no residual network of GluonCV or torchvision"
        hint = "" if guess == name else f"; by its names it holds {guess}"
        raise WeightsError(f"does not fit {name}: {'; '.join(problems)}{hint}")
    return names


def _few(names: List[str]) -> str:
    shown = [name[:60] for name in names[:3]]
    return ", ".join(shown + ["..."] * (len(names) > 3))


def _guess(names: Iterable[str]) -> Optional[str]:
    """Return the network that has blocks of these names, if one has."""
    blocks = [set(), set(), set(), set()]
    bottleneck = False
    for name in names:
        found = re.match(r"layer([1-4])\.(\d{1,3})\.(conv3)?", name)
        if found:
            blocks[int(found[1]) - 1].add(int(found[2]))
            bottleneck = bottleneck or found[3] is not None
    return _DEPTHS.get((tuple(map(len, blocks)), bottleneck))


def _read(tensor: StoredTensor, name: str) -> Array:
    """Return a tensor's numbers, float32 and finite."""
    array = tensor.read()
    if not np.isfinite(array).all():
        raise WeightsError(f"{name} has values that are not finite in float32")
    return array
