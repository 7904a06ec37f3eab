"""torchvision's residual networks in plain NumPy, float64: names, shapes, forward pass."""

import numpy as np

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
EPSILON = 1e-5  # torch.nn.BatchNorm2d's
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's weights


def layer_shapes(depth):
    """Yield (convolution, normalisation, shape) of every pair of layers."""
    yield "conv1", "bn1", (64, 3, 7, 7)
    inputs = 64
    for stage, count in enumerate(BLOCKS[depth]):
        width = 64 << stage
        outputs = width if depth < 50 else 4 * width
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            if depth < 50:
                shapes = [(width, inputs, 3, 3), (width, width, 3, 3)]
            else:
                shapes = [(width, inputs, 1, 1), (width, width, 3, 3), (outputs, width, 1, 1)]
            for number, shape in enumerate(shapes, start=1):
                yield f"{name}.conv{number}", f"{name}.bn{number}", shape
            if block == 0 and (stage > 0 or inputs != outputs):
                shape = (outputs, inputs, 1, 1)
                yield f"{name}.downsample.0", f"{name}.downsample.1", shape
            inputs = outputs


def random_weights(depth, seed=0):
    """Return a state dict {name: array} with torchvision's names; nothing is a default value."""
    random = np.random.default_rng(seed)
    weights = {}
    for convolution, norm, shape in layer_shapes(depth):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weights[f"{convolution}.weight"] = random.standard_normal(shape, "float32") * scale
        for leaf, low, high in (
            *(("weight", 0.3, 0.9), ("bias", -0.3, 0.3)),
            *(("running_mean", -0.3, 0.3), ("running_var", 0.5, 1.5)),
        ):
            weights[f"{norm}.{leaf}"] = random.uniform(low, high, shape[0])
        weights[f"{norm}.num_batches_tracked"] = np.array(7)
    weights["fc.weight"] = random.standard_normal((10, shape[0]))
    weights["fc.bias"] = random.standard_normal(10)
    return {
        name: array if array.ndim == 0 else array.astype(np.float32)
        for name, array in weights.items()
    }


def features(weights, images):
    """Return the pooled features (B, F) of images (B, 3, H, W), 0 to 1."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    channel = (1, 3, 1, 1)
    x = (images - np.reshape(MEAN, channel)) / np.reshape(DEVIATION, channel)
    x = _relu(_convolved(weights, x, "conv1", "bn1", stride=2))
    x = _windows(x, 3, 2, 1, -np.inf).max(axis=(-2, -1))
    for stage in range(1, 5):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in weights:
            x = _block(weights, x, f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
            block += 1
    return x.mean(axis=(2, 3))


def _block(weights, x, name, stride):
    bottleneck = f"{name}.conv3.weight" in weights
    shortcut = x
    if f"{name}.downsample.0.weight" in weights:
        shortcut = _convolved(weights, x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
    # A bottleneck's stride is in its 3x3 convolution.
    strides = (1, stride, 1) if bottleneck else (stride, 1)
    for number, step in enumerate(strides, start=1):
        x = _convolved(weights, x, f"{name}.conv{number}", f"{name}.bn{number}", step)
        x = x if number == len(strides) else _relu(x)
    return _relu(x + shortcut)


def _convolved(weights, x, convolution, norm, stride):
    """Return a convolution with half its size as padding, and its normalisation."""
    kernel = weights[f"{convolution}.weight"]
    windows = _windows(x, kernel.shape[-1], stride, kernel.shape[-1] // 2, 0)
    x = np.einsum("bchwij,ocij->bohw", windows, kernel, optimize=True)
    gamma, beta, mean, variance = (
        weights[f"{norm}.{leaf}"][:, None, None]
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def _windows(x, size, stride, padding, value):
    edge = (padding, padding)
    x = np.pad(x, ((0, 0), (0, 0), edge, edge), constant_values=value)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return windows[:, :, ::stride, ::stride]


def _relu(x):
    return np.maximum(x, 0)
