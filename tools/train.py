"""Train a pose network: `python tools/train.py --preset toy3 --method kinematic --ctx cpu`."""

from pathlib import Path

from gluon_dkpr import cli
from gluon_dkpr.config import Config, load_config
from gluon_dkpr.presets import PRESETS, get_preset, with_paper_schedule

KVSTORES = ("device", "local", "dist_sync", "dist_device_sync", "horovod")


def parse():
    """Read the command line; what changes the configuration goes by the name of its entry."""
    parser = cli.Parser(
        "Train a network on a preset and write configuration, metrics, pictures, checkpoints and "
        "the exported graph into a folder."
    )
    add = parser.add_argument
    add("--preset", choices=PRESETS, help="named configuration (default: toy3)")
    add("--method", dest="model.method", choices=["kinematic", "direct", "parameter"],
        help="paper, section 3.3 (default: kinematic)")  # fmt: skip
    add("--ctx", default="cpu", help="devices: cpu, gpu, or a list such as gpu0,gpu1 or cpu0,cpu1")
    for flag, kind, what in (
        ("--epochs", int, "number of epochs (default: the preset's)"),
        ("--batch-size", int, "over all devices (default: the preset's)"),
        ("--learning-rate", float, "at the start (default: the preset's)"),
        ("--seed", int, "of weights and order of samples (default: 0)"),
        ("--joint-loss", str, "squares (Eq. 3) or distances (default: the preset's)"),
        ("--bone-weight", float, "of the loss of bones beside joints (default: the preset's)"),
        ("--bound-weight", float, "of the soft joint limits (default: the preset's, 0)"),
    ):
        name = flag[2:].replace("-", "_")
        add(flag, dest=f"train.{name}", type=kind, metavar=name.upper(), help=what)
    add("--data", dest="data.record", metavar="NAME", help="data set (default: the preset's)")
    add("--pretrained", dest="model.pretrained", metavar="WHAT", help="of a ResNet: imagenet, "
        "none, or a file: Gluon .params, torchvision .pth or .safetensors "
        "(default: the preset's)")  # fmt: skip
    add("--raw-outputs", dest="model.scaled_outputs", action="store_const", const=False,
        help="the last layer's outputs are the motion")  # fmt: skip
    add("--paper", action="store_true", help="the paper's own hyper-parameters (SGD, batch 512)")
    add("--amp", dest="train.amp", action="store_const", const=True, help="GPU: float16 backbone")
    add("--kvstore", default="device", choices=KVSTORES,
        help="where gradients meet; the last three: with tools/launch.py")  # fmt: skip
    add("--out", help="folder of the run (default: a new one, runs/PRESET-METHOD, or DATA-METHOD)")
    add("--resume", action="store_true", help="continue the run in --out, as it is configured")
    add("--override", action="store_true", help="continue it even if other flags say otherwise")
    args = parser.parse_args()
    if args.resume and not args.out:
        parser.error("--resume continues the run in --out, which is not given")
    return args


def resolve(args) -> Config:
    """Return the preset, or the configuration of a run to resume, with the flags on top."""
    path = Path(args.out or "", "config.yaml")
    resumed = args.resume and not args.preset and path.is_file()
    preset = args.preset or "toy3", getattr(args, "model.method")
    config = load_config(path) if resumed else get_preset(*preset)
    return (with_paper_schedule(config) if args.paper else config).with_entries(vars(args))


def main():
    """Train as the command line asks."""
    args = parse()
    config = resolve(args)
    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.backend import parse_contexts
    from gluon_dkpr.engine import run_folder, train

    folder, devices = Path(args.out or f"runs/{config.name}"), parse_contexts(args.ctx)
    if args.out:
        result = train.train(config, folder, devices, args.kvstore, args.resume, args.override)
    else:
        folder, result = train.train_new(config, folder, devices, args.kvstore)
    if result is not None:  # another worker of the group has written it
        print(run_folder.summary(result, folder))


if __name__ == "__main__":
    cli.run(main)
