# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What `spec-vla drafter-data` asks the simulators for."""

import argparse

import pytest

from spec_vla_ros.commands import drafter_data


@pytest.mark.parametrize(('recipe', 'turn'), [('plain', 180), ('libero', 0)])
def test_pictures_of_the_benchmark_are_turned_once(monkeypatch, tmp_path, recipe, turn):
    monkeypatch.setattr(drafter_data, 'check_installed', lambda: None)
    jobs = []

    class Pool:
        """Notes what would be run."""

        def __init__(self, processes):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def map(self, function, given):
            jobs.extend(given)
            return ()

    monkeypatch.setattr(drafter_data, 'worker_processes', Pool)
    parser = argparse.ArgumentParser()
    drafter_data.add_arguments(parser)
    options = ['--benchmark', 'libero_object', '--episodes', '2', '--recipe', recipe]
    drafter_data.run(parser.parse_args([*options, '--out', str(tmp_path)]))
    ((_, _, used, source, _),) = jobs
    assert used.name == recipe
    assert source.keywords['image_rotation'] == turn
