# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Pictures are prepared as OpenVLA's published evaluation does, stage by stage and in all.

The arrays are TensorFlow's (`scripts/published_pictures.py`). The largest differences stand in
docs/how-to/conventions.md.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spec_vla_ros.models.recipe_pictures import RecipePicture, as_jpeg, cropped, resized
from spec_vla_ros.models.recipes import BRIDGE, LIBERO, PLAIN, Recipe

PUBLISHED = np.load(Path(__file__).parents[1] / 'data' / 'published_pictures.npz')
PICTURES = ('table', 'edges', 'wide')
SIDE = 224


def stage(picture, name):
    return PUBLISHED[f'{picture}_{name}']


def differences(ours, published):
    """The largest and the mean difference, in levels of 255."""
    assert ours.shape == published.shape
    assert ours.dtype == published.dtype == np.uint8
    off = np.abs(ours.astype(int) - published.astype(int))
    return off.max(), off.mean()


@pytest.mark.parametrize(('picture', 'mean'), [('table', 0.8), ('edges', 2.3), ('wide', 1.7)])
def test_jpeg(picture, mean):
    """TensorFlow decodes with the fast, less exact transform, which Pillow does not offer."""
    ours = as_jpeg(stage(picture, 'picture'), quality=95)
    largest, average = differences(ours, stage(picture, 'jpeg'))
    assert largest <= 17
    assert average <= mean


@pytest.mark.parametrize('picture', PICTURES)
def test_resizing_smaller_and_larger(picture):
    lanczos = Image.Resampling.LANCZOS
    ours = resized(stage(picture, 'jpeg'), SIDE, resampling=lanczos)
    largest, average = differences(ours, stage(picture, 'resized'))
    assert largest <= 1
    assert average <= 0.0005


@pytest.mark.parametrize('picture', PICTURES)
def test_cropping_is_the_same_to_the_bit(picture):
    ours = cropped(stage(picture, 'resized'), area=0.9)
    assert np.array_equal(ours, stage(picture, 'cropped'))


@pytest.mark.parametrize(('picture', 'mean'), [('table', 0.8), ('edges', 2.2), ('wide', 1.7)])
def test_the_recipes_are_the_published_evaluations(picture, mean):
    camera = stage(picture, 'picture')
    libero = RecipePicture(LIBERO, side=SIDE)(camera[::-1, ::-1])
    bridge = RecipePicture(BRIDGE, side=SIDE)(camera)
    for ours, published in ((libero, 'cropped'), (bridge, 'resized')):
        largest, average = differences(ours, stage(picture, published))
        assert largest <= 17
        assert average <= mean


def test_the_crop_is_of_the_area():
    """A square of 0.9 of the side would show more of the frame than was trained on."""
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[3:97, 3:97] = 255  # sqrt(0.9) leaves out 2.6 pixels at each side
    inside = cropped(picture, area=0.9)
    assert inside.shape == picture.shape
    assert inside[1:-1, 1:-1].min() == 255
    assert cropped(picture, area=0.99)[0].max() < 255


@pytest.mark.parametrize('degrees', [90, 180, 270])
def test_turning_is_counter_clockwise(degrees):
    picture = np.arange(16 * 18 * 3).astype(np.uint8).reshape(16, 18, 3)
    turned = RecipePicture(Recipe(image_rotation=degrees), side=SIDE)(picture)
    upright = np.asarray(Image.fromarray(picture).rotate(degrees, expand=True))
    assert np.array_equal(turned, upright)


def test_plain_leaves_the_very_picture():
    picture = stage('wide', 'picture')
    assert RecipePicture(PLAIN, side=SIDE)(picture) is picture


@pytest.mark.parametrize('recipe', [PLAIN, LIBERO])
def test_what_is_no_picture_is_refused(recipe):
    with pytest.raises(ValueError, match='uint8 RGB'):
        RecipePicture(recipe, side=SIDE)(np.zeros((4, 4), np.uint8))
