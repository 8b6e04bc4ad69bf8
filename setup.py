# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""For `pip install -e .`: the torch core as a library, and the `spec-vla` command; no ROS needed.

What a robot does not need comes with an extra: `pip install -e '.[sim,train,bench,dev]'`, and
`.[libero]` in an environment of its own. On a ROS machine colcon builds the package with
CMakeLists.txt instead, messages included.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
EXTRAS = ('sim', 'libero', 'ray', 'train', 'bench', 'dev')


def requirements(name: str) -> list[str]:
    lines = (HERE / 'requirements' / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name='spec_vla_ros',
    version='0.1.0',
    description='Vision-language-action policies with speculative decoding for ROS 2 robots',
    long_description=(HERE / 'README.md').read_text() if (HERE / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    author='the spec_vla_ros authors',
    license='Apache-2.0',
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=['spec_vla_ros', 'spec_vla_ros.*']),
    package_dir={'': '.'},
    package_data={'spec_vla_ros': ['py.typed', 'checkpoints/**/*', 'benchmark/trace.json']},
    install_requires=[*requirements('torch.txt'), *requirements('core.txt')],
    extras_require={name: requirements(f'{name}.txt') for name in EXTRAS},
    entry_points={'console_scripts': ['spec-vla = spec_vla_ros.cli:main']},
)
