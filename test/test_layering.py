# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Who may import whom. The torch core knows nothing of ROS, and nothing imports the ROS layer."""

import ast
from pathlib import Path

import pytest
from processes import run_python

import spec_vla_ros

PACKAGE = Path(__file__).parent.parent / 'spec_vla_ros'
DECODING = {
    *('types', 'instructions', 'norm_stats', 'action_codec', 'device'),
    *('decoding', 'planning'),
}
CORE = {*DECODING, 'strict_yaml', 'action_decoder', 'models', 'policy_config', 'policy'}
EVERYTHING = {
    *CORE,
    'jpeg',
    'pixels',
    'raw_pixels',
    'control',
    'inference',
    'settings',
    'programs',
    'command_line',
    'files',
    'quaternions',
    'recordings',
    'sim',
    'training',
    'evaluation',
    'benchmark',
    'checkpoints',
    'commands',
    'ros',
}
MAY_IMPORT = {
    '__init__': set(),
    'types': {'instructions'},
    'instructions': set(),
    'strict_yaml': set(),
    'quaternions': set(),
    'jpeg': set(),
    'pixels': {'types', 'jpeg'},
    'raw_pixels': {'pixels'},
    'norm_stats': set(),
    'action_codec': {'types', 'norm_stats'},
    'device': set(),
    'decoding': {'types', 'action_codec', 'device'},
    'planning': {'device', 'decoding'},
    'action_decoder': DECODING,
    'models': {*DECODING, 'strict_yaml', 'files'},
    'policy_config': CORE,
    'policy': CORE,
    'settings': {'types'},
    'inference': {'types', 'programs', 'settings'},
    'control': {'types', 'settings', 'inference'},
    'programs': set(),
    'command_line': set(),
    'files': set(),
    'recordings': {'types', 'pixels', 'raw_pixels', 'files'},
    'sim': set(),
    'checkpoints': set(),
    'training': {
        *CORE,
        'programs',
        'command_line',
        'files',
        'recordings',
        'sim',
        'evaluation',
        'checkpoints',
    },
    'evaluation': {
        *CORE,
        'programs',
        'command_line',
        'files',
        'quaternions',
        'recordings',
        'sim',
        'checkpoints',
    },
    'benchmark': {*CORE, 'command_line', 'files', 'sim', 'evaluation', 'checkpoints'},
    'ros': {*EVERYTHING, 'cli'},
    'commands': {*EVERYTHING, 'cli'},
    'cli': EVERYTHING,
}
ROS = {'rclpy', 'ament_index_python', 'launch', 'launch_ros', 'lifecycle_msgs', 'cv_bridge'}
OUTSIDE = {  # third-party modules that a part may not import
    '__init__': {'torch', 'numpy', *ROS},
    'types': {'torch', *ROS},
    'jpeg': {'torch', *ROS},
    'instructions': {'torch', 'numpy', *ROS},
    'pixels': {'torch', *ROS},
    'raw_pixels': {'torch', *ROS},
    'norm_stats': {'torch', *ROS},
    'action_codec': {'torch', *ROS},
    'settings': {'torch', 'mujoco', *ROS},
    'inference': {'torch', 'mujoco', *ROS},
    'control': {'torch', 'mujoco', *ROS},
    'programs': {'torch', *ROS},
    'command_line': {'torch', 'numpy', *ROS},
    'files': {'torch', 'numpy', *ROS},
    'recordings': {'torch', *ROS},
    'sim': {'torch', *ROS},
}
FILES = sorted(p for p in PACKAGE.rglob('*.py'))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imported_modules(path):
    """Full names of everything a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            names |= {node.module} | {f'{node.module}.{alias.name}' for alias in node.names}
    return names


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path):
    part = part_of(path)
    allowed = MAY_IMPORT[part] | {part}
    for name in imported_modules(path):
        top, _, rest = name.partition('.')
        if top == 'spec_vla_ros' and rest:
            inner = rest.partition('.')[0]
            is_module = (PACKAGE / inner).is_dir() or (PACKAGE / f'{inner}.py').exists()
            assert not is_module or inner in allowed, f'{part} must not import {name}'
            generated = inner in {'msg', 'srv', 'action'}
            assert not generated or part == 'ros', f'{part} must not import messages'
        refused = OUTSIDE.get(part, set() if part in {'ros', 'cli', 'commands'} else ROS)
        assert top not in refused, f'{part} must not import {name}'


@pytest.mark.parametrize('path', sorted((PACKAGE / 'decoding').glob('*.py')), ids=lambda p: p.name)
def test_devices_stand_on_the_algorithm(path):
    assert not any(n.startswith('spec_vla_ros.decoding.cuda') for n in imported_modules(path))


def test_what_a_stranger_needs_for_the_loop_stands_in_five_files():
    """The cache and the seam to devices may be taken on trust."""
    known, waiting = set(), {'speculative'}
    while waiting:
        known |= waiting
        names = {n for w in waiting for n in imported_modules(PACKAGE / 'decoding' / f'{w}.py')}
        prefix = 'spec_vla_ros.decoding.'
        waiting = {n.removeprefix(prefix).partition('.')[0] for n in names if prefix in n} - known
    read = known - {'kv_cache'}
    assert read == {'speculative', 'draft_tree', 'drafting', 'acceptance', 'generate'}


def loaded_after(statement):
    program = f'{statement}\nimport sys\nprint(*sys.modules)'
    return set(run_python('-c', program).stdout.split())


def test_importing_the_package_costs_neither_torch_nor_ros():
    loaded = loaded_after('import spec_vla_ros; dir(spec_vla_ros)')
    assert not loaded & {'torch', 'numpy', 'rclpy', 'timm', 'transformers'}


def test_importing_the_core_loads_no_ros():
    loaded = loaded_after('from spec_vla_ros import load_policy, load_openvla, ActionCodec')
    assert 'torch' in loaded
    assert not loaded & {*ROS, 'spec_vla_ros.ros', 'mujoco'}


def test_programs_that_only_start_nodes_do_not_load_torch():
    """It would take seconds, while somebody waits for the robot to move."""
    pytest.importorskip('rclpy', reason='no ROS here')
    pytest.importorskip('spec_vla_ros.msg', reason='the messages are not built')
    programs = (
        'demo.__main__',
        'demo.live_tuning',
        'develop.soak.__main__',
        'develop.overhead.__main__',
    )
    loaded = loaded_after(f'import {", ".join(f"spec_vla_ros.ros.{name}" for name in programs)}')
    assert 'rclpy' in loaded
    assert 'torch' not in loaded


def test_public_names_exist():
    assert all(hasattr(spec_vla_ros, name) for name in spec_vla_ros.__all__)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match='nonsense'):
        _ = spec_vla_ros.nonsense
