# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a page links to exists, headings included, and so do the files that it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob('*.md')), *sorted((ROOT / 'docs').rglob('*.md'))]
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]*)\)')
FOLDERS = '|'.join(
    ('config', 'docs', 'examples', 'launch', 'requirements', 'scripts', 'security', 'test')
)
NAMED = re.compile(rf'`((?:spec_vla_ros/(?![A-Z])|(?:{FOLDERS})/)[\w./*-]+)(?:::\w+)?`')


def anchors_of(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.*)$', page.read_text(), re.MULTILINE)
    words = (re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings)
    return {each.strip().replace(' ', '-') for each in words}


def each_match(pattern):
    return [
        pytest.param(page, found, id=f'{page.relative_to(ROOT)}: {found}')
        for page in PAGES
        for found in sorted(set(pattern.findall(page.read_text())))
    ]


@pytest.mark.parametrize(('page', 'target'), each_match(LINK))
def test_a_link_leads_somewhere(page, target):
    if '://' in target:
        return
    path, _, anchor = target.partition('#')
    there = page.parent / path if path else page
    assert there.exists()
    assert not anchor or anchor in anchors_of(there)


@pytest.mark.parametrize(('page', 'name'), each_match(NAMED))
def test_a_file_that_is_named_exists(page, name):
    folder, _, pattern = name.partition('/')
    assert any((ROOT / folder).glob(pattern)) if '*' in name else (ROOT / name).exists()


def test_every_page_is_reached_from_the_readme():
    found, left = set(), [ROOT / 'README.md']
    while left:
        page = left.pop()
        found.add(page)
        targets = [t.partition('#')[0] for t in LINK.findall(page.read_text()) if '://' not in t]
        pages = {(page.parent / t).resolve() for t in targets if t.endswith('.md')}
        left += pages - found - set(left)
    assert {page.resolve() for page in PAGES} <= found
