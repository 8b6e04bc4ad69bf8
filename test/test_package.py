# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The package's own papers: package.xml, setup.py, requirements, messages, transport profiles."""

import ast
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = ElementTree.parse(ROOT / 'package.xml').getroot()
INTERFACES = sorted((ROOT / 'msg').glob('*.msg')) + sorted((ROOT / 'srv').glob('*.srv'))


def texts(*tags):
    return {element.text for tag in tags for element in PACKAGE.iter(tag)}


def test_package_xml():
    assert PACKAGE.get('format') == '3'
    assert PACKAGE.findtext('name') == 'spec_vla_ros'
    assert PACKAGE.findtext('license') == 'Apache-2.0'
    assert PACKAGE.findtext('member_of_group') == 'rosidl_interface_packages'
    assert PACKAGE.findtext('export/build_type') == 'ament_cmake'
    assert {'ament_cmake', 'rosidl_default_generators'} <= texts('buildtool_depend')


def test_versions_agree():
    version = PACKAGE.findtext('version')
    source = (ROOT / 'spec_vla_ros' / '__init__.py').read_text()
    assert f"__version__ = '{version}'" in source
    assert f"version='{version}'" in (ROOT / 'setup.py').read_text()


def test_the_changelog_is_read_by_the_tools_of_ros():
    """Its first section is this version's, with the day it was made."""
    pytest.importorskip('docutils', reason='the changelog is read with it')
    changelog = pytest.importorskip('catkin_pkg.changelog', reason='comes with the ROS wheels')
    found = changelog.get_changelog_from_path(str(ROOT))
    version, day, content = next(iter(found.foreach_version()))
    assert version == PACKAGE.findtext('version')
    assert day is not None
    assert sum(len(block.bullets) for block in content) > 20


def test_an_sdist_has_the_requirements_that_setup_reads():
    lines = (ROOT / 'MANIFEST.in').read_text().splitlines()
    patterns = [p for line in lines if line.startswith('include ') for p in line.split()[1:]]
    files = [f'requirements/{file.name}' for file in (ROOT / 'requirements').glob('*.txt')]
    assert files
    assert all(any(fnmatch(file, pattern) for pattern in patterns) for file in files)


def test_the_library_leaves_the_owners_torch_alone():
    """Ranges in what is installed, exact versions in what `make` constrains."""
    pinned = ('torch', 'torchvision', 'timm', 'transformers', 'ray')
    asked = [
        line
        for name in ('torch', 'core', 'bench', 'ray')
        for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
        if re.match(rf'({"|".join(pinned)})\b', line)
    ]
    assert len(asked) == len(pinned)
    assert not [line for line in asked if '==' in line]
    lines = (ROOT / 'requirements' / 'constraints.txt').read_text().splitlines()
    exact = [Requirement(line) for line in lines if line and not line.startswith('#')]
    assert {pin.name for pin in exact} == set(pinned)
    for wanted in map(Requirement, asked):
        versions = [str(p.specifier).removeprefix('==') for p in exact if p.name == wanted.name]
        assert versions
        assert all(wanted.specifier.contains(version) for version in versions)
    setup = (ROOT / 'scripts' / 'setup_env.sh').read_text()
    assert 'constraints=${SPEC_VLA_CONSTRAINTS:-requirements/constraints.txt}' in setup
    assert '-c "$constraints" -r "requirements/$file.txt"' in setup


def test_every_ros_package_that_is_imported_is_declared():
    own = {'spec_vla_ros'}
    declared = texts('depend', 'exec_depend', 'buildtool_depend')
    imported = set()
    for path in [*(ROOT / 'spec_vla_ros' / 'ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module.split('.')[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.split('.')[0] for alias in node.names}
    ros = {
        name
        for name in imported - own
        if name.endswith(('_msgs', '_interfaces'))
        or name in ('rclpy', 'launch', 'launch_ros')
        or name.startswith('ament_')
    }
    assert {'rclpy', 'sensor_msgs', 'lifecycle_msgs', 'launch_ros'} <= ros
    assert ros <= declared


def test_cmake_generates_every_interface():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    listed = set(re.findall(r'(?:msg|srv)/\w+\.(?:msg|srv)', cmake))
    assert listed == {f'{path.parent.name}/{path.name}' for path in INTERFACES}


@pytest.mark.parametrize('path', INTERFACES, ids=lambda path: path.name)
def test_every_field_of_an_interface_is_commented(path):
    """A comment on the line, or a comment block right above the group of fields it is in."""
    explained = False
    for line in path.read_text().splitlines():
        if not line.strip() or line == '---':
            explained = False
        elif line.startswith('#'):
            explained = True
        else:
            assert explained or '#' in line or '=' in line, f'{path.name}: {line}'


def test_a_hand_edited_profile_still_says_what_it_must():
    space = '{http://www.eprosima.com}'
    for name in ('fastdds_localhost.xml', 'fastdds_robot.xml'):
        root = ElementTree.parse(ROOT / 'config' / name).getroot()
        kinds = {d.findtext(f'{space}type'): d for d in root.iter(f'{space}transport_descriptor')}
        assert int(kinds['SHM'].findtext(f'{space}segment_size')) == 16 * 2**20
        addresses = [a.text for a in kinds['UDPv4'].iter(f'{space}address')]
        assert addresses == (['127.0.0.1'] if name == 'fastdds_localhost.xml' else [])


def test_setup_and_activate_are_valid_shell():
    for path in (ROOT / 'scripts').glob('*.sh'):
        subprocess.run(['bash', '-n', str(path)], check=True)


@pytest.mark.parametrize('name', ['ros', 'ros-jazzy'])
def test_wheels_of_ros_are_pinned(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    wheels = [line for line in lines if line.startswith('ros-')]
    assert 'rclpy' in wheels[0]
    for line in wheels:
        assert re.fullmatch(r'[\w\-\[\]]+==[\d.]+', line), line


def test_types_are_shipped():
    assert (ROOT / 'spec_vla_ros' / 'py.typed').exists()
    assert "'py.typed'" in (ROOT / 'setup.py').read_text()
    assert 'DIRECTORY ${PROJECT_NAME}/' in (ROOT / 'CMakeLists.txt').read_text()


def test_every_folder_of_modules_is_a_package():
    """What has no __init__.py is left out of an install that is not editable."""
    folders = {path.parent for path in (ROOT / 'spec_vla_ros').rglob('*.py')}
    assert all((folder / '__init__.py').exists() for folder in folders)
