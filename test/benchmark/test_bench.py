# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The benchmark compares what it says, in turns, and writes it down."""

import json
import time
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from small_models import CONFIG, random_prompt, random_target

from spec_vla_ros.benchmark import bench, cases, random_case, shipped_case
from spec_vla_ros.benchmark.floor import (
    Hardware,
    Pass,
    floor_ms,
    measure_hardware,
    weight_counts,
)
from spec_vla_ros.benchmark.history import read
from spec_vla_ros.benchmark.random_case import RandomCase
from spec_vla_ros.benchmark.report import BEGIN, END, write_docs
from spec_vla_ros.benchmark.timing import TimedAction, take_turns
from spec_vla_ros.benchmark.trace import (
    WAYS,
    ActionTrace,
    Trace,
    WayTrace,
    kept_cases,
    save_trace,
)
from spec_vla_ros.cli import main
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.generate import autoregressive_generate
from spec_vla_ros.evaluation.transformers_generate import TransformersGenerate
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.types import AUTOREGRESSIVE, DecodeStats

pytestmark = pytest.mark.slow

CPU = torch.device('cpu')


@pytest.mark.parametrize('seed', range(4))
def test_transformers_generates_the_same_tokens(seed):
    target, prompt = random_target(seed), random_prompt(seed)
    expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
    generate = TransformersGenerate(target)
    assert torch.equal(generate(prompt, num_tokens=7), expected)
    assert torch.equal(generate(prompt, num_tokens=1), expected[:1])


def test_weights_are_counted():
    linear = sum(p.numel() for n, p in Llama(CONFIG).named_parameters() if 'proj' in n)
    head = CONFIG.hidden_size * CONFIG.vocab_size
    assert weight_counts(CONFIG) == (linear, head)


def test_the_floor_is_the_slower_of_reading_and_multiplying():
    body, head = weight_counts(CONFIG)
    slow_memory = Hardware(bandwidth=1e6, rate=1e15)
    assert floor_ms(CONFIG, [Pass(1)] * 3, slow_memory, itemsize=4) == pytest.approx(
        3 * (body + head) * 4 / 1e3
    )
    slow_products = Hardware(bandwidth=1e15, rate=1e6)
    assert floor_ms(CONFIG, [Pass(10, 2)], slow_products, itemsize=4) == pytest.approx(
        2 * (10 * body + 2 * head) / 1e3
    )


def test_hardware_is_measured():
    found = measure_hardware(CPU, torch.float32, footprint=2**22)
    assert found.bandwidth > 1e8
    assert found.rate > 1e8


def test_methods_take_turns_and_medians_are_of_each_action():
    calls = []

    def method(name, milliseconds):
        def run(action):
            calls.append((name, action))
            time.sleep(milliseconds / 1e3)
            return TimedAction((action,) * 7, DecodeStats('strict', 2, phases_ms={'prefill': 0.5}))

        return run

    methods = {'a': method('a', 2), 'b': method('b', 0), 'c': method('c', 0)}
    measured = take_turns(methods, actions=2, repeats=3, device=CPU)
    assert [n for n, _ in calls] == [*'abc', *'bca', *'cab'] * 2
    assert [a for n, a in calls if n == 'a'] == [0, 1] * 3
    assert len(measured['a'].action_ms) == 2
    assert len(measured['a'].samples_ms) == 6
    assert measured['a'].mean_ms >= 2
    assert measured['a'].phases_ms['prefill'] == 0.5
    assert measured['a'].phases_ms['rest'] == pytest.approx(
        sum(measured['a'].samples_ms) / 6 - 0.5
    )
    assert (measured['a'].target_passes, measured['a'].tokens_per_pass) == (2, 3.5)
    assert measured['b'].tokens == ((0,) * 7, (1,) * 7)


@pytest.fixture
def tiny_case(monkeypatch, tmp_path):
    """A case of the benchmark that takes milliseconds, and an invented trace of it."""
    tiny = {'tiny': RandomCase(layers=2, hidden_size=64, intermediate_size=96, prompt_length=9)}
    monkeypatch.setattr(bench, 'RANDOM_CASES', tiny)
    shapes = (None, *(TreeShape(1, n, n) for n in range(1, 7)))
    actions = (ActionTrace((), (1, 6)), ActionTrace((), (1, 3, 3)))
    way = WayTrace(shapes, actions)
    path = tmp_path / 'trace.json'
    about = {'policy': 'invented', 'acceptance_threshold': 9}
    save_trace(Trace(about, {'tiny': dict.fromkeys(WAYS, way)}, None), path)
    monkeypatch.setattr(bench.load_trace, '__defaults__', (path,))


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--history', 'list.json'], 'is no list of results'),
        (['--docs', 'nowhere'], 'needs the lines'),
    ],
)
@pytest.mark.usefixtures('tiny_case')
def test_what_cannot_be_written_into_is_told_before_measuring(
    tmp_path, monkeypatch, capsys, options, reason
):
    monkeypatch.setattr(bench, 'measure_random', None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'list.json').write_text('no list')
    assert main(['bench', '--cases', 'tiny', '--out', 'out', *options]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.usefixtures('tiny_case')
def test_the_command_writes_figures_table_and_picture(tmp_path, capsys):
    docs = tmp_path / 'docs'
    docs.mkdir()
    (docs / 'bench.md').write_text(f'Before\n{BEGIN}\nold\n{END}\nAfter\n')
    arguments = ['bench', '--cases', 'tiny', '--actions', '2', '--repeats', '2', '--device', 'cpu']
    out = ['--out', str(tmp_path / 'results'), '--docs', str(docs)]
    out += ['--history', str(tmp_path / 'history.json')]
    assert main([*arguments, *out]) == 0
    report = json.loads((tmp_path / 'results' / 'bench.json').read_text())
    case = report['cases']['tiny']
    assert case['same_tokens']
    assert 'replayed' in case['accept_lengths']
    rows = case['methods']
    assert set(rows) == {
        random_case.GENERATE,
        random_case.FIRST_TOKEN,
        AUTOREGRESSIVE,
        *WAYS,
    }
    assert rows['strict']['target_passes'] == 2.5
    assert rows['strict']['phases_ms'].keys() >= {'prefill', 'draft', 'verify', 'rest'}
    assert rows[AUTOREGRESSIVE]['times_floor'] > 0
    assert rows[random_case.GENERATE]['times_generate'] == 1.0
    page = (docs / 'bench.md').read_text()
    assert page.startswith('Before')
    assert page.endswith('After\n')
    assert 'old' not in page
    assert '| relaxed + temporal |' in page
    assert (docs / 'bench.png').stat().st_size > 1000
    (strict,) = (e for e in read(tmp_path / 'history.json') if e['way'] == 'strict')
    assert strict['figures']['mean_ms'] == pytest.approx(rows['strict']['mean_ms'], abs=1e-3)
    assert (strict['date'], strict['machine']) == (report['date'], report['hardware'])
    assert '| strict |' in capsys.readouterr().out


def test_the_shipped_policy_is_measured_from_frame_to_action(tmp_path, monkeypatch):
    """With trees and hardware that are given: by measured costs, nothing may be drafted here."""
    pytest.importorskip('mujoco')
    drafts = partial(SpecVlaPolicy, config=PolicyConfig(tree=TreeShape(1, 6, 6)))
    monkeypatch.setattr(shipped_case, 'SpecVlaPolicy', drafts)
    hardware = Hardware(bandwidth=1e12, rate=1e18)  # reading is what takes time
    monkeypatch.setattr(cases, 'measure_hardware', lambda *given, **named: hardware)
    arguments = ['bench', '--cases', bench.SHIPPED, '--frames', '12', '--device', 'cpu']
    assert main([*arguments, '--out', str(tmp_path)]) == 0
    case = json.loads((tmp_path / 'bench.json').read_text())['cases'][bench.SHIPPED]
    assert case['same_tokens']
    assert case['exactness']['differing'] == 0
    assert case['exactness']['actions'] > 1
    rows = case['methods']
    assert rows[AUTOREGRESSIVE]['target_passes'] == 7
    assert rows['relaxed']['target_passes'] < 4
    for way in (AUTOREGRESSIVE, *WAYS):
        assert rows[way]['times_floor'] == rows[way]['mean_ms'] / rows[way]['floor_ms'] > 1
        assert rows[way]['phases_ms']['vision'] > 0
    seven_readings = 7 * case['weight_bytes'] / hardware.bandwidth * 1e3
    assert rows[AUTOREGRESSIVE]['floor_ms'] == pytest.approx(seven_readings)
    # Fewer passes read the weights less often.
    assert rows['relaxed']['floor_ms'] < rows[AUTOREGRESSIVE]['floor_ms']


@pytest.mark.usefixtures('tiny_case')
def test_where_nothing_can_be_written_nothing_is_measured(tmp_path, monkeypatch, capsys):
    (tmp_path / 'file').touch()
    monkeypatch.setattr(bench, 'measure_random', None)
    assert main(['bench', '--cases', 'tiny', '--out', str(tmp_path / 'file')]) == 2
    assert 'nothing can be written into the folder' in capsys.readouterr().err


@pytest.mark.usefixtures('tiny_case')
def test_a_threshold_that_the_trace_was_not_recorded_at_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, 'measure_random', None)
    options = ['--acceptance-threshold', '5', '--out', str(tmp_path)]
    assert main(['bench', '--cases', 'tiny', *options]) == 2
    said = capsys.readouterr().err
    assert "the accept lengths of 'tiny' were recorded at an acceptance threshold of 9" in said


@pytest.mark.parametrize(('threshold', 'window'), [(5, 8), (9, 2)])
def test_cases_recorded_with_other_settings_are_not_mixed(threshold, window):
    way = WayTrace((None,) * 7, (ActionTrace((), (1, 6)),))
    before = Trace({'acceptance_threshold': 9}, {'a': {'strict': way}, 'b': {'strict': way}}, 8)
    same = {'acceptance_threshold': 9, 'draft_window': 8}
    assert kept_cases(before, ['a'], **same) == {'b': {'strict': way}}
    other = {'acceptance_threshold': threshold, 'draft_window': window}
    assert kept_cases(before, ['a', 'b'], **other) == {}
    with pytest.raises(ValueError, match="record 'b' along with them"):
        kept_cases(before, ['a'], **other)


def test_what_was_decoded_before_the_measuring_does_not_count():
    """As warming up, whose first action would count three times."""
    commits = iter([(7,), (7,), (1, 6), (1, 3, 3)])

    def decode(action):
        found = next(commits)
        stats = DecodeStats('strict', len(found), accept_lengths=found)
        return TimedAction((0,) * 7, stats)

    for _ in range(2):
        decode(0)
    measured = take_turns({'strict': decode}, actions=2, repeats=1, device=CPU)
    assert measured['strict'].commits == ((1, 6), (1, 3, 3))


@pytest.mark.usefixtures('tiny_case')
def test_unknown_cases_are_told(capsys):
    assert main(['bench', '--cases', 'huge']) == 2
    assert 'unknown cases' in capsys.readouterr().err


def test_without_ros_its_overhead_cannot_be_measured(monkeypatch, capsys):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert main(['bench', '--ros']) == 2
    assert 'needs ROS 2' in capsys.readouterr().err


def test_the_overhead_of_ros_is_a_program_of_its_own(monkeypatch, tmp_path):
    ran = []

    def run(command, *, check):
        ran.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr('subprocess.run', run)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: object())
    assert main(['bench', '--ros', '--out', str(tmp_path)]) == 3
    assert ran[0][1:] == ['-m', 'spec_vla_ros.ros.develop.overhead', '--results', str(tmp_path)]


def test_a_page_without_markers_is_told(tmp_path):
    (tmp_path / 'bench.md').write_text('nothing')
    with pytest.raises(ValueError, match='needs the lines'):
        write_docs({'date': '', 'machine': '', 'cases': {}}, tmp_path)
