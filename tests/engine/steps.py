"""Training steps that go wrong on purpose."""

from gluon_dkpr.engine.loop import Loop


def poison(monkeypatch, numbers, what="joints"):
    """Make the gradient of some steps, counted from 0, not finite; return the batches of all.

    ``what`` becomes NaN: ``"joints"``, which the loss alone sees, or ``"images"``.
    """
    step, batches = Loop._step, []

    def poisoned(loop, batch, parts, *rest):
        batches.append(batch)
        if len(batches) - 1 in numbers:
            wrong = [{what: getattr(part, what) * float("nan")} for part in parts]
            parts = [part._replace(**fields) for part, fields in zip(parts, wrong)]
        step(loop, batch, parts, *rest)

    monkeypatch.setattr(Loop, "_step", poisoned)
    return batches


def interrupt(monkeypatch, number):
    """Press Ctrl-C in the step of this number, counted from 1."""
    step, calls = Loop._step, []

    def interrupted(loop, *args):
        calls.append(args)
        if len(calls) == number:
            raise KeyboardInterrupt
        step(loop, *args)

    monkeypatch.setattr(Loop, "_step", interrupted)
