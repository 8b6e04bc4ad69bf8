# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An interrupted training ends exactly where an uninterrupted one does."""

import pytest
import torch
from torch import nn

from spec_vla_ros.training.loop import LoopSettings, train

SETTINGS = LoopSettings(
    iterations=12, learning_rate=0.05, weight_decay=0.1, ema_decay=0.9, save_every=3
)


def run(checkpoint, *, stop_at=None, reports=None, inputs=3, diverges_at=None):
    torch.manual_seed(1)
    module = nn.Linear(inputs, 2)

    def loss_at(iteration):
        if iteration == stop_at:
            raise KeyboardInterrupt
        if iteration == diverges_at:
            return module(torch.full((1, inputs), torch.nan)).sum()
        x = torch.randn(8, inputs, generator=torch.Generator().manual_seed(iteration))
        return (module(x) - x[:, :2]).square().mean()

    train(
        module,
        loss_at,
        settings=SETTINGS,
        checkpoint=checkpoint,
        validate=lambda: 'checked',
        report=(reports if reports is not None else []).append,
    )
    return module


def test_resumed_equals_uninterrupted(tmp_path):
    whole = run(tmp_path / 'whole.pt')
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / 'parts.pt', stop_at=8)
    resumed = run(tmp_path / 'parts.pt')
    assert torch.equal(whole.weight, resumed.weight)


def test_finished_training_is_not_repeated(tmp_path):
    reports = []
    first = run(tmp_path / 'state.pt', reports=reports)
    again = run(tmp_path / 'state.pt', stop_at=0, reports=reports)
    assert torch.equal(first.weight, again.weight)
    assert len(reports) == 4
    assert reports[-1].startswith('12/12')
    assert 'checked' in reports[-1]


def test_it_learns_and_ends_with_the_moving_average(tmp_path):
    module = run(tmp_path / 'state.pt')
    state = torch.load(tmp_path / 'state.pt', weights_only=True)
    assert torch.equal(module.weight, state['average'][0])
    assert not torch.equal(state['module']['weight'], state['average'][0])


@pytest.mark.parametrize('content', [b'', b'no state', None])
def test_a_damaged_state_is_named(tmp_path, content):
    file = tmp_path / 'state.pt'
    run(file)
    file.write_bytes(file.read_bytes()[:500] if content is None else content)
    with pytest.raises(ValueError, match=r'state\.pt is damaged, .*: remove it'):
        run(file)


def test_a_state_of_another_model_is_refused(tmp_path):
    run(tmp_path / 'state.pt')
    with pytest.raises(ValueError, match=r'state\.pt is damaged, or of another model'):
        run(tmp_path / 'state.pt', inputs=4)


def test_a_full_disk_is_told_and_what_was_saved_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / 'state.pt', stop_at=4)
    (tmp_path / 'state.pt.partial').symlink_to('/dev/full')
    with pytest.raises(OSError, match=r'state\.pt\.partial cannot be written .*: make room'):
        run(tmp_path / 'state.pt')
    reports = []
    run(tmp_path / 'state.pt', reports=reports)
    assert reports[0].startswith('6/12')


def test_a_state_that_cannot_even_be_begun_is_told(tmp_path):
    """The error said that there was no `state.pt.partial` to remove."""
    with pytest.raises(OSError, match=r'state\.pt\.partial cannot be written .*: make room'):
        run(tmp_path / 'gone' / 'state.pt')


@pytest.mark.parametrize(('diverges_at', 'told'), [(0, 3), (4, 6), (11, 12)])
def test_a_training_that_diverges_ends_before_it_is_saved(tmp_path, diverges_at, told):
    """It went on to its end, and its weights of NaN were written as a drafter's."""
    said = rf'diverged: after {told} iterations the loss is nan.* a lower --learning-rate'
    with pytest.raises(ValueError, match=said):
        run(tmp_path / 'state.pt', diverges_at=diverges_at)
    if told > 3:
        state = torch.load(tmp_path / 'state.pt', weights_only=True)
        assert state['done'] == told - 3
        assert state['average'][0].isfinite().all()
    else:
        assert not (tmp_path / 'state.pt').exists()
