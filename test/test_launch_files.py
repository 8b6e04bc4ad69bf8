# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The launch files: read everywhere, executed where `launch` can be imported."""

import ast
import re
import runpy
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from waiting import PATIENCE

from spec_vla_ros.ros.names import CAMERA_TOPICS
from spec_vla_ros.settings.launch import DEMO_ARGUMENTS, LIBERO_ARGUMENTS, POLICY_ARGUMENTS
from spec_vla_ros.settings.nodes import SimSettings
from spec_vla_ros.sim.env import TabletopEnv

ROOT = Path(__file__).parents[1]
FILES = {path.name: path for path in (ROOT / 'launch').glob('*.launch.py')}
POLICY, DEMO, LIBERO = 'spec_vla.launch.py', 'demo.launch.py', 'libero.launch.py'
ARGUMENTS = {POLICY: POLICY_ARGUMENTS, DEMO: DEMO_ARGUMENTS, LIBERO: LIBERO_ARGUMENTS}


def topics_of_the_node():
    """Every name in the modules that open the policy node's topics."""
    folder = ROOT / 'spec_vla_ros' / 'ros'
    modules = ('inputs', 'arm_outputs', 'gripper_outputs', 'status_topics', 'controls')
    sources = [(folder / f'{module}.py').read_text() for module in modules]
    literals = {name for source in sources for name in re.findall(r"'([a-z_/]+)'", source)}
    return literals | set(CAMERA_TOPICS)


def test_there_are_three():
    assert set(FILES) == {POLICY, DEMO, LIBERO}


@pytest.mark.parametrize('name', FILES)
def test_they_compile_and_define_the_description(name):
    tree = ast.parse(FILES[name].read_text())
    compile(tree, name, 'exec')
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert 'generate_launch_description' in functions


def test_renamed_names_are_those_of_the_node():
    renamed = {argument.name for argument in POLICY_ARGUMENTS.values() if argument.name}
    assert len(renamed) == 9
    assert renamed <= topics_of_the_node()


def test_the_example_of_the_demo_asks_for_a_block_that_is_there():
    (asked,) = re.findall(r"'\{data: (.*?)\}'", FILES[DEMO].read_text())
    env = TabletopEnv(image_size=64)
    try:
        assert env.reset(seed=SimSettings().seed, instruction=asked) == asked
    finally:
        env.close()


class Made:
    """What the stand-in for the launch system makes of anything: its name and its arguments."""

    def __init__(self, kind, given, named):
        self.kind, self.given, self.named = kind, given, named

    def perform(self, context):
        return context[self.given[0]]


class Context(dict):
    """The stand-in for what the launch system knows: names and values."""

    @property
    def launch_configurations(self):
        return self


class StandIn(types.ModuleType):
    """A module that has every name, each making a `Made`."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *given, **named: Made(name, given, named)


STAND_INS = """
launch launch.actions launch.conditions launch.event launch.events launch.launch_context
launch.launch_description launch.launch_description_entity launch.launch_description_sources
launch.substitutions launch_ros launch_ros.actions launch_ros.event_handlers launch_ros.events
launch_ros.events.lifecycle launch_ros.parameter_descriptions lifecycle_msgs lifecycle_msgs.msg
"""


RECORDING = ('ros2bag', 'rosbag2_storage_mcap')
SHARED = 'spec_vla_ros.ros.startup.launching'


def describe(path):
    """What the description that a launch file returns is made of."""
    return runpy.run_path(str(path))['generate_launch_description']().given[0]


class TestWithoutTheLaunchSystem:
    """The launch file executed with a stand-in, which says what it would start.

    bring_up returns what a file makes of what it is given.
    """

    @pytest.fixture
    def bring_up(self, monkeypatch):
        for name in STAND_INS.split():
            monkeypatch.setitem(sys.modules, name, StandIn(name))
        monkeypatch.delitem(sys.modules, SHARED, raising=False)
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

        def bring_up(*, file=POLICY, installed=(), **given):
            packages.installed = set(installed)
            made = describe(FILES[file])
            check, start = (m.named['function'] for m in made if m.kind == 'OpaqueFunction')
            assert made[0].named['function'] is check  # before the file declares its arguments
            check(types.SimpleNamespace(launch_configurations=given))
            defaults = {n: a.default.format(share=ROOT) for n, a in ARGUMENTS[file].items()}
            return start(Context({**defaults, **given}))

        yield bring_up
        sys.modules.pop(SHARED, None)  # it has the stand-ins

    def test_one_node_with_its_remaps_and_parameters(self, bring_up):
        made = bring_up(checkpoint='/models/one', namespace='lab', image_topic='/cam/rgb')
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
        assert '--end-with-parent' in node.named['arguments']
        assert node.named['ros_arguments'] is None

    def test_each_argument_is_declared_with_what_it_may_be(self, bring_up):
        for file, arguments in ARGUMENTS.items():
            made = describe(FILES[file])
            declared = {m.given[0]: m.named for m in made if m.kind == 'DeclareLaunchArgument'}
            assert declared.keys() == arguments.keys()
            for name, argument in arguments.items():
                choices = declared[name]['choices']
                assert choices == (list(argument.choices) or None)
                assert choices is None or declared[name]['default_value'] in choices

    @pytest.mark.parametrize(
        'options', [{}, {'file': DEMO}, {'file': LIBERO, 'checkpoint': '/models/one'}]
    )
    def test_the_end_of_a_node_ends_the_launch(self, bring_up, options):
        (node,) = [m for m in bring_up(**options) if m.kind.endswith('Node')]
        executable = node.named['executable']
        assert f'scripts/{executable}' in (ROOT / 'CMakeLists.txt').read_text()
        assert (ROOT / 'scripts' / executable).stat().st_mode & 0o111
        on_exit, event = node.named['on_exit'], object()
        (ended,) = on_exit(event, types.SimpleNamespace(is_shutdown=False))
        assert ended.kind == 'Shutdown'
        assert on_exit(event, types.SimpleNamespace(is_shutdown=True)) == []

    def test_yes_no_and_numbers_get_their_types(self, bring_up):
        given = {'dry_run': 'True', 'use_sim_time': 'no', 'draft_top_k': '4'}
        (node,) = [m for m in bring_up(**given) if m.kind == 'LifecycleNode']
        _, overrides = node.named['parameters']
        values = {name: (v.given[0], v.named['value_type']) for name, v in overrides.items()}
        assert values == {
            'dry_run': (True, bool),
            'use_sim_time': (False, bool),
            'draft_top_k': (4, int),
        }

    def test_an_enclave_is_an_argument_for_ros(self, bring_up):
        (node,) = [m for m in bring_up(enclave='/arms/left') if m.kind == 'LifecycleNode']
        assert node.named['ros_arguments'] == ['--enclave', '/arms/left']

    @pytest.mark.parametrize('file', [DEMO, LIBERO])
    def test_robot_and_policy_have_enclaves_of_their_own(self, bring_up, file):
        enclaves = {'enclave': '/arms/left', 'robot_enclave': '/arms/simulated'}
        robot, policy = bring_up(file=file, checkpoint='/models/one', **enclaves)
        assert robot.named['ros_arguments'] == ['--enclave', '/arms/simulated']
        assert dict(policy.named['launch_arguments'])['enclave'] == '/arms/left'

    @pytest.mark.parametrize('file', FILES)
    def test_an_argument_that_is_none_ends_the_launch(self, bring_up, file):
        with pytest.raises(RuntimeError, match=r'dryrun is no argument.*did you mean dry_run:='):
            bring_up(file=file, checkpoint='/models/one', dryrun='true')

    @pytest.mark.parametrize('file', FILES)
    def test_another_name_of_an_argument_ends_the_launch(self, bring_up, file, monkeypatch):
        bring_up(file=file, checkpoint='/models/one', params='mine.yaml')  # an including file's
        monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'spec_vla_ros', file])
        with pytest.raises(RuntimeError, match=r'params is no .*did you mean params_file:='):
            bring_up(file=file, checkpoint='/models/one', params='mine.yaml')

    def test_what_a_second_include_may_have_from_the_first_is_told(self, bring_up):
        bring_up()
        check, start = (
            m.named['function'] for m in describe(FILES[POLICY]) if 'function' in m.named
        )
        defaults = {n: a.default.format(share=ROOT) for n, a in POLICY_ARGUMENTS.items()}
        scope = Context(pose_topic='/left/pose')
        assert check(scope) == []
        scope.update({**defaults, **scope})  # as the declarations do
        assert start(scope)
        (told,) = check(scope)
        assert told.kind == 'LogInfo'
        assert 'pose_topic:=/left/pose may be left over' in told.named['msg']

    def test_defaults_do_not_overrule_what_is_set_for_all_nodes(self, bring_up, tmp_path):
        with pytest.raises(RuntimeError, match='SetParameter: dry_run True would be in no force'):
            bring_up(global_params=[('use_sim_time', True), ('dry_run', True)])
        path = tmp_path / 'mine.yaml'
        path.write_text('/**: {ros__parameters: {dry_run: false}}')
        assert bring_up(params_file=str(path), global_params=[('use_sim_time', True)])

    def test_a_compressed_topic_chooses_compressed_images(self, bring_up):
        (node,) = [
            m for m in bring_up(image_topic='/cam/rgb/compressed') if m.kind == 'LifecycleNode'
        ]
        assert dict(node.named['remappings'])['image/compressed'] == '/cam/rgb/compressed'
        _, overrides = node.named['parameters']
        assert overrides['image_transport'].given == ('compressed',)
        with pytest.raises(RuntimeError, match='image_transport:=raw reads others'):
            bring_up(image_topic='/cam/rgb/compressed', image_transport='raw')

    @pytest.mark.parametrize('word', ['yes', 'True', '1'])
    def test_record_records_or_is_refused(self, bring_up, word):
        with pytest.raises(RuntimeError, match='needs ros2bag'):
            bring_up(record=word)
        assert word in POLICY_ARGUMENTS['record'].choices

    def test_a_parameter_in_no_force_ends_the_launch(self, bring_up, tmp_path):
        path = tmp_path / 'mine.yaml'
        path.write_text('spec_vla: {ros__parameters: {dry_run: true}}')
        assert bring_up(params_file=str(path))
        with pytest.raises(RuntimeError, match='dry_run is in no force'):
            bring_up(params_file=str(path), namespace='lab')
        path.write_text('/**: {ros__parameters: {dryrun: true}}')
        with pytest.raises(RuntimeError, match='did you mean dry_run'):
            bring_up(params_file=str(path))
        path.write_text('/**: {ros__parameters: {sead: 3}}')
        with pytest.raises(RuntimeError, match='did you mean seed'):
            bring_up(file=DEMO, sim_params_file=str(path))

    @pytest.mark.parametrize('namespace', ['', 'arm'])
    def test_a_file_is_read_for_the_namespace_that_was_pushed(self, bring_up, tmp_path, namespace):
        path = tmp_path / 'mine.yaml'
        whole = '/'.join(filter(None, ('/lab', namespace, 'spec_vla')))
        path.write_text(f'{whole}: {{ros__parameters: {{dry_run: true}}}}')
        given = {'ros_namespace': '/lab', 'namespace': namespace}  # as PushRosNamespace keeps it
        assert bring_up(params_file=str(path), **given)
        with pytest.raises(RuntimeError, match='dry_run is in no force'):
            bring_up(params_file=str(path), ros_namespace='/other', namespace=namespace)
        assert bring_up(params_file=str(path), ros_namespace='/other', namespace=whole[:-9])

    @pytest.mark.parametrize('given', [{}, {'image_transport': 'compressed'}])
    def test_the_robot_keeps_to_its_file_unless_something_else_is_given(self, bring_up, given):
        node, _ = bring_up(file=DEMO, **given)
        file, *overrides = node.named['parameters']
        assert file == str(ROOT / 'config' / 'sim_robot.yaml')
        values = [{name: v.given[0] for name, v in each.items()} for each in overrides]
        assert values == ([given] if given else [])

    @pytest.mark.parametrize(
        ('given', 'turn'),
        [({}, 180), ({'observation_recipe': 'libero'}, 0), ({'image_rotation': '0'}, 0)],
    )
    def test_liberos_robot_turns_the_picture_unless_the_recipe_does(self, bring_up, given, turn):
        robot, policy = bring_up(file=LIBERO, checkpoint='/models/one', suite='libero_10', **given)
        assert robot.named['executable'] == robot.named['name'] == 'libero_robot'
        file, overrides = robot.named['parameters']
        assert file == str(ROOT / 'config' / 'libero_robot.yaml')
        values = {name: value.given[0] for name, value in overrides.items()}
        assert values == {'suite': 'libero_10', 'image_rotation': turn}
        passed_on = dict(policy.named['launch_arguments'])
        assert passed_on['checkpoint'] == '/models/one'
        assert passed_on['params_file'] == str(ROOT / 'config' / 'libero_policy.yaml')
        assert passed_on['observation_recipe'] == given.get('observation_recipe', '')
        assert passed_on.keys() < POLICY_ARGUMENTS.keys()

    def test_libero_without_a_policy_says_what_to_give(self, bring_up):
        with pytest.raises(RuntimeError, match='checkpoint:= is needed: no policy for libero_10'):
            bring_up(file=LIBERO, suite='libero_10')

    def test_it_is_activated_once_and_not_after_every_later_configuring(self, bring_up):
        made = bring_up()
        (handler,) = [m.given[0] for m in made if m.kind == 'RegisterEventHandler']
        assert handler.kind == 'OnStateTransition'
        assert handler.named['handle_once'] is True

    @pytest.mark.parametrize(
        'options',
        [
            {'params_file': '~/mine.yaml'},
            {'file': DEMO, 'sim_params_file': '~/mine.yaml'},
        ],
        ids=['policy', 'demo'],
    )
    def test_a_parameter_file_must_be_there(self, bring_up, options, monkeypatch, tmp_path):
        monkeypatch.setenv('HOME', str(tmp_path))
        with pytest.raises(RuntimeError, match=f"no parameter file '{tmp_path}/mine.yaml'"):
            bring_up(**options)
        (tmp_path / 'mine.yaml').write_text('/**: {ros__parameters: {use_sim_time: true}}')
        made = bring_up(**options)
        (node,) = [m for m in made if m.kind.endswith('Node')]
        assert node.named['parameters'][0] == str(tmp_path / 'mine.yaml')

    def test_recording_is_one_more_process_whose_end_ends_the_launch(
        self, bring_up, monkeypatch, tmp_path
    ):
        monkeypatch.setenv('HOME', str(tmp_path))
        made = bring_up(record='true', record_folder='~/run', installed=RECORDING)
        (process,) = [m for m in made if m.kind == 'ExecuteProcess']
        command = f'ros2 bag record --storage mcap --all --output {tmp_path}/run'
        assert ' '.join(process.named['cmd']) == command
        on_exit = process.named['on_exit']
        (ended,) = on_exit(object(), types.SimpleNamespace(is_shutdown=False))
        assert (ended.kind, ended.named['reason']) == ('Shutdown', 'the recorder has ended')

    @pytest.mark.parametrize(
        ('record', 'words'), [('true', 'is there already'), ('false', 'needs record:=true')]
    )
    def test_a_recording_that_would_not_be_made_is_refused(
        self, bring_up, record, words, tmp_path
    ):
        with pytest.raises(RuntimeError, match=f'record_folder:={tmp_path} {words}'):
            bring_up(record=record, record_folder=str(tmp_path), installed=RECORDING)

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
                launch_arguments=[('checkpoint', str(checkpoint)), ('namespace', 'lab')],
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
