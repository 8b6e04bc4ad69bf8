# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The SROS2 policy, read for the tests."""

from pathlib import Path
from xml.etree import ElementTree

POLICY = Path(__file__).parents[2] / 'security' / 'policies.xml'
QUALIFIERS = {
    'topics': {'publish', 'subscribe'},
    'services': {'reply', 'request'},
    'actions': {'call', 'execute'},
}


def profiles():
    """Every profile of the policy, as elements, by node name."""
    root = ElementTree.parse(POLICY).getroot()
    return {p.get('node'): p for p in root.iter('profile')}


def allowed(node):
    """What a node may do: (kind, qualifier), as in QUALIFIERS, -> full names."""
    profile = profiles()[node]
    found = {(kind, q): set() for kind, qualifiers in QUALIFIERS.items() for q in qualifiers}
    for group in profile:
        for qualifier in group.attrib:
            found[group.tag, qualifier] |= {full_name(e.text, node) for e in group}
    return found


def full_name(name, node):
    """'~/x' is the node's own, '/x' is as it is, 'x' is in the root namespace."""
    if name.startswith('~/'):
        return f'/{node}/{name[2:]}'
    return name if name.startswith('/') else f'/{name}'
