# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A robot's installation is what requirements/torch.txt and core.txt name, and does not need more.

Everything that other files of requirements name is hidden from a process of its own, which must
then load the shipped policy, infer, and import the node.
"""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

from spec_vla_ros.cli import COMMANDS, EXTRAS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'spec_vla_ros'
ROS_IS_HERE = bool(find_spec('rclpy') and find_spec('spec_vla_ros.msg'))

HIDE = '''
import sys
hidden = set({hidden!r})

class Hiding:
    """Finds what another finder finds, but for what is hidden."""

    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] not in hidden:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hiding, sys.meta_path)
'''
INFER = """
import numpy as np
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import Decoding, Observation
policy = load_policy(TABLETOP, device='cpu')
seen = Observation(np.zeros((96, 96, 3), np.uint8), 'pick up the red block')
assert policy.infer(seen, Decoding('relaxed', 9)).values.shape == (7,)
"""
NODE = """
import spec_vla_ros.ros.policy_node, spec_vla_ros.ros.load, spec_vla_ros.inference.process_main
"""


def required(*files):
    """Return the distributions that files of requirements name."""
    lines = [
        line
        for name in files
        for line in (ROOT / f'requirements/{name}.txt').read_text().split('\n')
    ]
    return {
        re.match(r'[\w.-]+', line)[0].lower()
        for line in lines
        if line and not line.startswith('#')
    }


def modules_of(distributions):
    """Return the top-level modules of distributions that are installed here."""
    return {
        module
        for module, owners in packages_distributions().items()
        if {owner.lower() for owner in owners} & distributions and module.isidentifier()
    }


BASE = required('torch', 'core')
FOR_DEVELOPING = modules_of(required('sim', 'train', 'bench', 'dev') - BASE)


def run_without(hidden, program):
    done = subprocess.run(
        [sys.executable, '-c', HIDE.format(hidden=sorted(hidden)) + program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_what_is_hidden_is_what_is_for_developing():
    names = {'mujoco', 'matplotlib', 'rosbags', 'accelerate', 'transformers', 'psutil'}
    assert names <= FOR_DEVELOPING
    assert not FOR_DEVELOPING & {
        'torch',
        'torchvision',
        'timm',
        'numpy',
        'cv2',
        'PIL',
        'tokenizers',
    }


@pytest.mark.slow
def test_the_policy_infers_and_the_node_starts_without_what_is_for_developing():
    run_without(FOR_DEVELOPING | {'rich'}, INFER + NODE * ROS_IS_HERE)


@pytest.mark.slow
def test_a_robot_needs_everything_that_its_requirements_name():
    commands = 'import spec_vla_ros.commands.inspect, spec_vla_ros.commands.predict\n'
    pieces = """
from pathlib import Path
from spec_vla_ros.models.text_tokenizers import read_sentencepiece
try:
    read_sentencepiece(Path('nowhere.model'))
except ValueError:
    pass
"""
    dashboard = 'import spec_vla_ros.ros.top\n' * ROS_IS_HERE
    loaded = run_without(
        FOR_DEVELOPING,
        f'{INFER}{NODE * ROS_IS_HERE}{commands}{pieces}{dashboard}print(*sys.modules)',
    ).stdout
    unused = {name for name in BASE if not modules_of({name}) & set(loaded.split())}
    assert unused == (set() if ROS_IS_HERE else {'rich'})


EACH = """
import importlib, os
import spec_vla_ros.policy
for extras, (needless, modules) in {each!r}.items():
    if os.fork() == 0:
        hidden = needless
        print('with', extras, file=sys.stderr)
        for module in modules:
            importlib.import_module(module)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f'not with {{extras}} alone')
"""


@pytest.mark.slow
def test_commands_need_no_more_than_their_extras():
    """Each set of extras is tried in a fork of one process: to import torch takes its time."""
    each = {}
    for extras in sorted({EXTRAS.get(command, '') for command in COMMANDS}):
        needed = modules_of(required(*extras.split(','))) if extras else set()
        modules = sorted(COMMANDS[name][0] for name in COMMANDS if EXTRAS.get(name, '') == extras)
        each[extras] = FOR_DEVELOPING - needed, modules
    assert len(each) > 3
    said = run_without(FOR_DEVELOPING, EACH.format(each=each)).stderr
    assert said.count('with ') == len(each)


@pytest.mark.slow
def test_a_command_without_its_extras_says_what_is_missing():
    program = f"""
from spec_vla_ros.cli import main
for command in {list(EXTRAS)}:
    try:
        main([command, '--help'])
    except SystemExit as ended:
        print(ended.code, command, file=sys.stderr)
"""
    done = run_without(FOR_DEVELOPING, program)
    for command, extras in EXTRAS.items():
        assert f'2 {command}\n' in done.stderr
        (said,) = re.findall(rf'spec-vla {command}: error: (.*)', done.stderr)
        assert f"pip install -e '.[{extras}]'" in said


@pytest.mark.slow
def test_a_drafter_is_made_of_recordings_without_the_simulator(tmp_path):
    program = f"""
from spec_vla_ros.cli import main
assert main(['drafter-data', '--out', {str(tmp_path)!r}]) == 2
assert main(['drafter-data', '--out', {str(tmp_path)!r}, '--recording', 'none.mcap',
             '--image-topic', '/image', '--instruction', 'wave']) == 2
"""
    said = run_without(modules_of({'mujoco'}), program).stderr
    assert "episodes need pip install -e '.[sim]'" in said
    assert 'none.mcap' in said


def test_nothing_that_runs_on_a_robot_imports_what_is_for_developing():
    rooms = ('training', 'evaluation', 'benchmark', 'sim', 'ros.demo', 'ros.develop', 'ros.robots')
    developing = tuple(f'spec_vla_ros.{room}' for room in rooms)
    here = [
        path
        for room in ('control', 'decoding', 'inference', 'models', 'settings', 'ros')
        for path in (PACKAGE / room).rglob('*.py')
        if not {'demo', 'develop', 'robots'} & set(path.relative_to(PACKAGE).parts)
    ]
    assert len(here) > 40
    for path in [*here, PACKAGE / 'policy.py']:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not node.module.startswith(developing), f'{path} imports {node.module}'
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    assert not alias.name.startswith(developing), f'{path} imports {alias.name}'


def test_a_package_that_several_files_name_is_the_same_in_all():
    versions = {}
    others = {
        ROOT / 'requirements' / 'constraints.txt',  # of the versions that others leave open
        ROOT / 'requirements' / 'ros-jazzy.txt',  # instead of ros.txt
    }
    for path in set((ROOT / 'requirements').glob('*.txt')) - others:
        for line in path.read_text().splitlines():
            if line and not line.startswith('#') and ';' not in line:
                name = re.match(r'[\w.-]+', line)[0]
                assert versions.setdefault(name, line) == line, path
