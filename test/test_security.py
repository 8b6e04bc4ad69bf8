# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The security policy is well formed and grants little; nothing in the package unpickles."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from security_policy import POLICY, QUALIFIERS, allowed, profiles

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / 'spec_vla_ros').rglob('*.py'))
UNSAFE_MODULES = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'marshal', 'shelve'}
LISTENING_MODULES = {
    'socketserver',
    'http',
    'xmlrpc',
    'asyncio',
    'flask',
    'fastapi',
    'zmq',
    'grpc',
}


def test_the_policy_has_the_form_of_the_schema():
    """Version 0.2.0 of SROS2: policy, enclaves, enclave, profiles, profile, lists of names."""
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.get('version')) == ('policy', '0.2.0')
    (enclaves,) = root
    assert enclaves.tag == 'enclaves'
    for enclave in enclaves:
        assert enclave.tag == 'enclave'
        assert enclave.get('path').startswith('/')
        (group,) = enclave
        assert group.tag == 'profiles'
        for profile in group:
            assert set(profile.attrib) == {'ns', 'node'}
            for names in profile:
                assert set(names.attrib) <= QUALIFIERS[names.tag]
                assert names.attrib
                assert set(names.attrib.values()) == {'ALLOW'}
                assert len(names)
                assert {name.tag for name in names} == {names.tag.removesuffix('s')}


def test_no_comment_stands_among_the_enclaves():
    """`ros2 security generate_artifacts` takes one for an enclave, and fails."""
    builder = ElementTree.TreeBuilder(insert_comments=True)
    root = ElementTree.parse(POLICY, ElementTree.XMLParser(target=builder)).getroot()
    assert not list(root.iter(ElementTree.Comment))
    assert [e.get('path') for e in root[0]] == [f'/spec_vla/{node}' for node in profiles()]


def test_names_are_given_one_by_one():
    """No wildcard grants more than it says, and nothing is granted twice."""
    for node, profile in profiles().items():
        for group in profile:
            texts = [name.text for name in group]
            assert len(set(texts)) == len(texts), node
            assert not any(set('*?[]') & set(text) for text in texts), node


def test_each_node_has_an_enclave_of_its_own():
    root = ElementTree.parse(POLICY).getroot()
    for enclave in root.iter('enclave'):
        nodes = [p.get('node') for p in enclave.iter('profile')]
        assert [enclave.get('path')] == [f'/spec_vla/{node}' for node in nodes]


def test_each_program_that_is_installed_has_an_enclave():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    installed = set(re.findall(r'scripts/(\w+)', cmake))
    assert {'policy_node', 'sim_robot', 'libero_robot'} <= installed
    nodes = {'spec_vla' if name == 'policy_node' else name for name in installed}
    assert nodes <= profiles().keys()


def test_liberos_robot_does_what_the_simulated_one_does_and_tells_the_time():
    simulated, libero = allowed('sim_robot'), allowed('libero_robot')
    simulated['topics', 'publish'].add('/clock')
    own = {n.replace('/sim_robot/', '/libero_robot/') for n in simulated['services', 'reply']}
    assert libero == {**simulated, ('services', 'reply'): own}


def test_who_gives_instructions_commands_nothing():
    """Only what the policy node or the robot takes, and none of what moves the arm."""
    operator, node = allowed('operator'), allowed('spec_vla')
    everyone = {'/rosout', '/parameter_events'}
    assert operator['topics', 'publish'] - everyone <= node['topics', 'subscribe']
    assert operator['topics', 'subscribe'] <= node['topics', 'publish']
    assert operator['services', 'request'] <= node['services', 'reply']
    assert operator['actions', 'call'] <= node['actions', 'execute']
    assert not any('image' in name for name in operator['topics', 'publish'])
    commands = {'/delta_twist_cmds', '/pose_target', '/gripper_command'}
    assert not commands & operator['topics', 'publish']


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_unpickles_or_listens(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            tops = {name.split('.')[0] for name in names}
            assert not tops & (UNSAFE_MODULES | LISTENING_MODULES)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called == 'torch.load':
                assert given.get('weights_only') == 'True'
            if called in ('np.load', 'numpy.load'):
                assert given.get('allow_pickle', 'False') == 'False'
            assert called not in ('eval', 'exec', 'yaml.load', 'os.system')
            assert given.get('trust_remote_code', 'False') == 'False'
            assert given.get('shell', 'False') == 'False'
