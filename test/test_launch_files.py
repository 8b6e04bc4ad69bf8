# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The launch files: read everywhere, executed where `launch` can be imported."""

import ast
import dataclasses
import re
import runpy
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from waiting import PATIENCE

from spec_vla_ros.settings.nodes import PolicySettings, SimSettings

ROOT = Path(__file__).parents[1]
FILES = {path.name: path for path in (ROOT / 'launch').glob('*.launch.py')}
POLICY, DEMO = 'spec_vla.launch.py', 'demo.launch.py'


def constant(name, variable):
    """Return a module's constant without importing it; f-strings become their source."""
    tree = ast.parse(FILES[name].read_text())
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == variable:
            value = statement.value
            if isinstance(value, ast.Dict):
                return {
                    ast.literal_eval(k): ast.unparse(v)
                    for k, v in zip(value.keys, value.values, strict=True)
                }
            return ast.literal_eval(value)
    raise AssertionError(f'{name} has no {variable}')


def topics_of_the_node():
    """Every name in the modules that open the policy node's topics."""
    folder = ROOT / 'spec_vla_ros' / 'ros'
    modules = ('inputs', 'arm_outputs', 'gripper_outputs', 'reports', 'controls')
    sources = [(folder / f'{module}.py').read_text() for module in modules]
    return {name for source in sources for name in re.findall(r"'([a-z_/]+)'", source)}


def test_there_are_two():
    assert set(FILES) == {POLICY, DEMO}


@pytest.mark.parametrize('name', FILES)
def test_they_compile_and_define_the_description(name):
    tree = ast.parse(FILES[name].read_text())
    compile(tree, name, 'exec')
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert 'generate_launch_description' in functions


def test_the_promised_arguments_exist():
    arguments = constant(POLICY, 'ARGUMENTS')
    promised = {'model', 'image_topic', 'command_topic', 'frame', 'device', 'namespace'}
    assert promised | {'params_file'} <= set(arguments)


def test_arguments_set_parameters_that_exist():
    parameters = {key: value.strip("'") for key, value in constant(POLICY, 'PARAMETERS').items()}
    assert set(parameters) <= set(constant(POLICY, 'ARGUMENTS'))
    fields = {field.name: field for field in dataclasses.fields(PolicySettings)}
    for parameter in parameters.values():
        assert isinstance(fields[parameter].default, str)
    assert 'image_transport' in {field.name for field in dataclasses.fields(SimSettings)}


def test_remapped_names_are_those_of_the_node():
    source = FILES[POLICY].read_text()
    remapped = set(re.findall(r"\('([a-z_/]+)', (?:given|f')", source))
    assert len(remapped) == 10
    assert remapped <= topics_of_the_node()


def test_the_demo_passes_on_arguments_that_both_have():
    passed = set(constant(DEMO, 'FOR_POLICY'))
    assert passed <= set(constant(DEMO, 'ARGUMENTS'))
    assert passed <= set(constant(POLICY, 'ARGUMENTS'))


def test_executables_are_installed():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    for path in FILES.values():
        for executable in re.findall(r"executable='(\w+)'", path.read_text()):
            assert f'scripts/{executable}' in cmake
            assert (ROOT / 'scripts' / executable).stat().st_mode & 0o111


class Made:
    """What the stand-in for the launch system makes of anything: its name and its arguments."""

    def __init__(self, kind, given, named):
        self.kind, self.given, self.named = kind, given, named

    def perform(self, context):
        return context[self.given[0]]


class StandIn(types.ModuleType):
    """A module that has every name, each making a `Made`."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *given, **named: Made(name, given, named)


STAND_INS = """
launch launch.actions launch.conditions launch.events launch.launch_description_sources
launch.substitutions launch_ros launch_ros.actions launch_ros.event_handlers launch_ros.events
launch_ros.events.lifecycle launch_ros.parameter_descriptions lifecycle_msgs lifecycle_msgs.msg
"""


class TestWithoutTheLaunchSystem:
    """The launch file executed with a stand-in, which says what it would start."""

    @pytest.fixture
    def bring_up(self, monkeypatch):
        for name in STAND_INS.split():
            monkeypatch.setitem(sys.modules, name, StandIn(name))
        monkeypatch.setattr(sys.modules['lifecycle_msgs.msg'], 'Transition', Transitions, False)
        packages = StandIn('ament_index_python.packages')

        def prefix(name):
            packages.installed.remove(name)  # a KeyError where it is not

        packages.PackageNotFoundError = KeyError
        packages.installed = set()
        packages.get_package_prefix = prefix
        packages.get_package_share_directory = lambda name: str(ROOT)
        monkeypatch.setitem(sys.modules, 'ament_index_python', StandIn('ament_index_python'))
        monkeypatch.setitem(sys.modules, 'ament_index_python.packages', packages)

        def bring_up(*, file=POLICY, function='_bring_up', installed=(), **given):
            packages.installed = set(installed)
            module = runpy.run_path(str(FILES[file]))
            defaults = {name: default for name, (default, _) in module['ARGUMENTS'].items()}
            return module[function]({**defaults, **given})

        return bring_up

    def test_one_node_with_its_remaps_and_parameters(self, bring_up):
        made = bring_up(model='/models/one', namespace='lab', image_topic='/cam/rgb')
        (node,) = [m for m in made if m.kind == 'LifecycleNode']
        assert node.named['namespace'] == 'lab'
        remaps = dict(node.named['remappings'])
        assert remaps['image'] == '/cam/rgb'
        assert remaps['image/compressed'] == '/cam/rgb/compressed'
        assert remaps['diagnostics'] == '/diagnostics'
        file, overrides = node.named['parameters']
        assert file == str(ROOT / 'config' / 'spec_vla.yaml')
        assert {name: value.given[0] for name, value in overrides.items()} == {
            'checkpoint': '/models/one'
        }
        assert not [m for m in made if m.kind == 'ExecuteProcess']

    @pytest.mark.parametrize('given', [{}, {'image_transport': 'compressed'}])
    def test_the_robot_keeps_to_its_file_unless_something_else_is_given(self, bring_up, given):
        (node,) = bring_up(file=DEMO, function='_robot', **given)
        file, *overrides = node.named['parameters']
        assert file == str(ROOT / 'config' / 'sim_robot.yaml')
        values = [{name: v.given[0] for name, v in each.items()} for each in overrides]
        assert values == ([given] if given else [])

    def test_it_is_activated_once_and_not_after_every_later_configuring(self, bring_up):
        made = bring_up()
        (handler,) = [m.given[0] for m in made if m.kind == 'RegisterEventHandler']
        assert handler.kind == 'OnStateTransition'
        assert handler.named['handle_once'] is True

    @pytest.mark.parametrize(
        'options',
        [
            {'params_file': '~/mine.yaml'},
            {'file': DEMO, 'function': '_robot', 'sim_params_file': '~/mine.yaml'},
        ],
        ids=['policy', 'demo'],
    )
    def test_a_parameter_file_must_be_there(self, bring_up, options, monkeypatch, tmp_path):
        monkeypatch.setenv('HOME', str(tmp_path))
        with pytest.raises(RuntimeError, match=f"no parameter file '{tmp_path}/mine.yaml'"):
            bring_up(**options)
        (tmp_path / 'mine.yaml').write_text('/**: {ros__parameters: {dry_run: true}}')
        made = bring_up(**options)
        (node,) = [m for m in made if m.kind.endswith('Node')]
        assert node.named['parameters'][0] == str(tmp_path / 'mine.yaml')

    def test_recording_is_one_more_process(self, bring_up):
        installed = ('ros2bag', 'rosbag2_storage_mcap')
        made = bring_up(record='true', record_folder='/data/run', installed=installed)
        (process,) = [m for m in made if m.kind == 'ExecuteProcess']
        command = 'ros2 bag record --storage mcap --all --output /data/run'
        assert ' '.join(process.named['cmd']) == command

    def test_recording_needs_rosbag2_and_says_so(self, bring_up):
        with pytest.raises(RuntimeError, match='needs ros2bag and rosbag2_storage_mcap'):
            bring_up(record='true', installed=('ros2bag',))


class Transitions:
    TRANSITION_CONFIGURE, TRANSITION_ACTIVATE = 1, 3


class TestExecuted:
    """With the real launch system."""

    @pytest.fixture(autouse=True)
    def _launch_is_here(self):
        pytest.importorskip('launch.actions', reason='the launch system is not installed')
        pytest.importorskip('launch_ros.actions', reason='the launch system is not installed')

    @pytest.mark.dds
    def test_the_demo_comes_up_active_in_its_namespace(self, tmp_path, monkeypatch):
        from launch.actions import IncludeLaunchDescription
        from launch.launch_description_sources import PythonLaunchDescriptionSource
        from toy_checkpoint import write_tiny

        from launch import LaunchDescription, LaunchService
        from spec_vla_ros.ros.free_domain import free_domain

        checkpoint = write_tiny(tmp_path / 'checkpoint')
        with free_domain() as domain_id:
            monkeypatch.setenv('ROS_DOMAIN_ID', str(domain_id))
            include = IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(FILES[DEMO])),
                launch_arguments=[('model', str(checkpoint)), ('namespace', 'lab')],
            )
            service = LaunchService(noninteractive=True)
            service.include_launch_description(LaunchDescription([include]))
            seen = {}
            observer = threading.Thread(target=observe, args=(domain_id, service, seen))
            observer.start()
            assert service.run() == 0
            observer.join()
        assert seen['state'] == 'active'
        assert {'/lab/image', '/lab/action', '/lab/episode'} <= seen['topics']


def observe(domain_id, service, seen):
    """Wait until the policy node is active, note what is there, and end the launch."""
    from spec_vla_ros.ros.remote import RemoteNode

    try:
        with RemoteNode('observer', domain_id=domain_id) as remote:
            deadline = time.monotonic() + PATIENCE
            while seen.get('state') != 'active' and time.monotonic() < deadline:
                seen['state'] = remote.state('/lab/spec_vla', timeout=PATIENCE)
                time.sleep(0.2)
            seen['topics'] = {name for name, _ in remote.node.get_topic_names_and_types()}
    finally:
        service.shutdown()
