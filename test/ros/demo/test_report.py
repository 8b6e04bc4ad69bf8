# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The demo's figures, table and film strip, from made-up episodes."""

import io
import json
import re
import signal

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from spec_vla_ros.ros.demo import __main__ as main_module
from spec_vla_ros.ros.demo.comparison import compare_ways, comparison_table
from spec_vla_ros.ros.demo.film_strip import FRAME, film_strip, write_film_strip
from spec_vla_ros.ros.demo.record import Record
from spec_vla_ros.ros.demo.report import percentiles, summary, table
from spec_vla_ros.ros.demo.stage import UncleanEndError
from spec_vla_ros.ros.demo.view import View, pace


def record(number=1, *, success=True, steps=10, mode='relaxed', passes=2, inference=20.0):
    colour = np.zeros((192, 192, 3), np.uint8)
    return Record(
        number=number,
        seed=100 + number,
        instruction='pick up the red block',
        success=success,
        wrong_object=not success,
        seconds=4.0,
        mode=mode,
        halt='' if success else 'no image for 0.60 s',
        latency_ms=list(np.linspace(50, 60, steps)),
        inference_ms=[inference] * steps,
        target_passes=[passes] * steps,
        draft_passes=[3] * steps,
        phases_ms=[{'vision': 5.0, 'prefill': 1.0 + k * k} for k in range(steps)],
        command_stamps=list(np.arange(30) / 30 + 10 * number),
        frames=[(0.1 * k, colour + 6 * k) for k in range(steps)],
    )


def test_summary():
    figures = summary([record(1), record(2, success=False), record(3)])
    assert figures['episodes'] == 3
    assert figures['success_rate'] == pytest.approx(2 / 3)
    assert figures['wrong_object_rate'] == pytest.approx(1 / 3)
    assert figures['commands_hz'] == pytest.approx(30.0)  # the pauses between episodes left out
    assert figures['latency_ms'] == {'p50': 55.0, 'p95': 60.0, 'p99': 60.0}
    assert figures['inference_ms']['p50'] == 20.0
    assert figures['mode'] == 'relaxed'
    assert figures['seeds'] == [101, 102, 103]
    assert [row['steps'] for row in figures['per_episode']] == [10, 10, 10]


def test_nothing_measured():
    assert percentiles([]) == {'p50': None, 'p95': None, 'p99': None}
    empty = Record(number=1, seed=1, instruction='x')
    assert summary([empty])['commands_hz'] == 0.0


def test_table_and_view_say_what_failed():
    console = Console(record=True, width=110, force_terminal=False)
    with View(console, episodes=2) as view:
        view.update(record(), 30.0)
        view.finished(record())
        view.finished(record(2, success=False))
    both = [record(), record(2, success=False)]
    console.print(table({'speculative': both, 'autoregressive': both[::-1]}))
    text = console.export_text()
    assert 'success so far 1/2' in text
    assert 'success, 10 steps, 4.0 s' in text
    assert '10 steps, 4.0 s, 20.0 ms, 2.0 passes an action' in ' '.join(text.split())
    assert 'failed (wrong object), 10 steps' in text
    assert 'lifted a wrong object' in text
    assert 'the policy had halted: no image for 0.60 s' in text
    assert '1/2, 10.0 steps, 4.0 s' in text
    assert 'relaxed' in text


def test_modes_are_compared_on_the_same_episodes():
    plain = {'mode': 'autoregressive', 'passes': 7, 'inference': 50.0}
    result = compare_ways(
        {
            'speculative': [record(1), record(2)],
            'autoregressive': [record(1, **plain), record(2, success=False, **plain)],
        }
    )
    fast, slow = result['modes']['speculative'], result['modes']['autoregressive']
    assert (fast['mode'], slow['mode']) == ('relaxed', 'autoregressive')
    assert (fast['success_rate'], slow['success_rate']) == (1.0, 0.5)
    assert (fast['accept_length'], slow['accept_length']) == (7.0, 1.167)
    assert fast['phases_ms'] == {'vision': 5.0, 'prefill': 29.5}
    assert fast['draft_passes'] == 3.0
    assert result['ratio'] == {
        'target_passes': 3.5,
        'inference_ms': 2.5,
        'latency_ms': 1.0,
        'seconds': 1.0,
    }
    assert result['speedup'] == {'inference': 2.5, 'image_to_action': 1.0}
    assert result['passes'] == {'speculative': 2.0, 'autoregressive': 7.0}
    json.dumps(result, allow_nan=False)
    console = Console(record=True, width=100)
    console.print(comparison_table(result))
    text = console.export_text()
    assert re.search(r'inference +│ +20.0 ms │ +50.0 ms │ 2.50x', text)
    assert re.search(r'success +│ +100% │ +50% │ ', text)
    assert re.search(r' prefill +│ +29.5 ms │ +29.5 ms', text)


def test_one_mode_alone_has_nothing_to_compare():
    alone = compare_ways({'autoregressive': [record(mode='autoregressive', passes=7)]})
    assert not {'ratio', 'speedup'} & alone.keys()
    assert alone['passes'] == {'autoregressive': 7.0}
    console = Console(record=True, width=100)
    console.print(comparison_table(alone))
    assert 'gain' not in console.export_text()


def test_an_action_decided_in_the_prefill_has_no_accept_length():
    assert (
        compare_ways({'speculative': [record(passes=1)]})['modes']['speculative']['accept_length']
        is None
    )


def test_the_live_view_draws_in_a_terminal(monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')  # whatever the tests run in
    console = Console(record=True, width=100, force_terminal=True, file=io.StringIO())
    with View(console, episodes=2) as view:
        view.update(record(), 29.9)
    drawn = console.file.getvalue()
    for words in (
        '1 of 2',
        '20.0 ms, 2.0 passes an action (last: 20.0 ms, 2)',
        'pick up the red block',
        '29.9 Hz',
        '55 ms',
        '0/0',
    ):
        assert words in drawn


def test_the_live_view_shows_both_ways_as_they_come(monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')  # whatever the tests run in
    console = Console(record=True, width=100, force_terminal=True, file=io.StringIO())
    with View(console, episodes=2) as view:
        view.finished(record(inference=10.0))
        plain = record(mode='autoregressive', passes=7)
        plain.inference_ms[-1] = 31.0
        view.update(Record(number=3, seed=3, instruction='x'), 29.9)  # no action yet
        view.update(plain, 29.9)
    drawn = console.file.getvalue()
    for words in (
        '10.0 ms, 2.0 passes an action',
        '20.0 ms, 7.0 passes an action (last: 31.0 ms, 7)',
    ):
        assert words in drawn
    assert pace([]) == '-'


@pytest.mark.parametrize('steps', [1, 3, 8, 40])
def test_film_strip_keeps_first_and_last_frame(tmp_path, steps):
    shown = record(steps=steps)
    shown.frames = [(float(k), np.full((192, 192, 3), 5 * k, np.uint8)) for k in range(steps)]
    strip = film_strip(shown)
    count = min(8, steps)
    assert strip.getpixel((100, 160)) == (0, 0, 0)
    column, row = (count - 1) % 4, (count - 1) // 4
    last = strip.getpixel((100 + column * (FRAME + 12), 160 + row * (FRAME + 12)))
    assert last == (5 * (steps - 1),) * 3
    write_film_strip(shown, tmp_path / 'new' / 'strip.png')
    assert (tmp_path / 'new' / 'strip.png').stat().st_size > 1000


def test_no_frames():
    with pytest.raises(ValueError, match='no frames'):
        film_strip(Record(number=1, seed=1, instruction='x'))


def test_figures_are_kept_when_a_node_does_not_end(monkeypatch, tmp_path, capsys):
    """All episodes have been run by then; the demo fails all the same."""

    def run(args, simulator, console, records, *, check):
        records['autoregressive'] = [record(mode='autoregressive', passes=7)]
        raise UncleanEndError('sim_robot did not end cleanly')

    monkeypatch.setattr(main_module, 'run', run)
    monkeypatch.setattr('sys.argv', ['demo', '--results', str(tmp_path)])
    with pytest.raises(SystemExit, match='1'):
        main_module.main()
    assert 'sim_robot did not end cleanly' in capsys.readouterr().out
    assert json.loads((tmp_path / 'demo.json').read_text())['success_rate'] == 1.0
    assert (tmp_path / 'demo.png').exists()
    with Image.open(tmp_path / 'demo.webp') as shown:
        assert shown.is_animated


def test_the_last_line_is_what_was_gained(monkeypatch, tmp_path, capsys):
    def run(args, simulator, console, records, *, check):
        records['speculative'] = [record(inference=10.0)]
        records['autoregressive'] = [record(mode='autoregressive', passes=7)]

    monkeypatch.setattr(main_module, 'run', run)
    monkeypatch.setattr('sys.argv', ['demo', '--results', str(tmp_path)])
    main_module.main()
    assert capsys.readouterr().out.splitlines()[-1] == (
        'An action took 10.0 ms instead of 20.0 (2.00x faster), with 2 passes of the model '
        'instead of 7, and 1 of 1 episodes succeeded in both ways.'
    )
    figures = json.loads((tmp_path / 'demo.json').read_text())
    assert figures['speedup'] == {'inference': 2.0, 'image_to_action': 1.0}
    assert figures['passes'] == {'speculative': 2.0, 'autoregressive': 7.0}


def test_without_a_camera_there_are_figures_and_no_pictures(monkeypatch, tmp_path, capsys):
    def run(args, simulator, console, records, *, check):
        blind = record()
        blind.frames.clear()
        records['autoregressive'] = [blind]

    monkeypatch.setattr(main_module, 'run', run)
    monkeypatch.setattr('sys.argv', ['demo', '--results', str(tmp_path)])
    main_module.main()
    assert f'wrote {tmp_path}/demo.json\n' in capsys.readouterr().out.replace('\n/', '/')
    assert [p.name for p in tmp_path.iterdir()] == ['demo.json']


def test_an_interrupt_while_pictures_are_written_ends_the_demo_in_good_order(
    monkeypatch, tmp_path, capsys
):
    def run(args, simulator, console, records, *, check):
        records['autoregressive'] = [record(mode='autoregressive', passes=7)]

    def interrupted(record, path):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(main_module, 'run', run)
    monkeypatch.setattr(main_module, 'write_film_strip', interrupted)
    monkeypatch.setattr('sys.argv', ['demo', '--results', str(tmp_path)])
    with pytest.raises(SystemExit, match='130'):
        main_module.main()
    assert 'interrupted' in capsys.readouterr().out
    assert (tmp_path / 'demo.webp').exists()
