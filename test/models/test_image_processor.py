# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Images reach the model as OpenVLA's own processor would give them."""

import numpy as np
import pytest
import torch
from PIL import Image

from spec_vla_ros.models.image_processor import ImageProcessor, as_picture
from spec_vla_ros.models.recipe_pictures import RecipePicture
from spec_vla_ros.models.recipes import read_recipe
from spec_vla_ros.models.timm_import import timm
from spec_vla_ros.pixels import file_to_rgb

PLAIN = {
    'image_resize_strategy': 'resize-naive',
    'input_sizes': [[3, 32, 32]],
    'interpolations': ['bicubic'],
    'means': [[0.485, 0.456, 0.406]],
    'stds': [[0.229, 0.224, 0.225]],
}


def resized(**how):
    return {'tvf_resize_params': [how]}


def picture(height=48, width=80, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize('strategy', ['resize-naive', 'letterbox', 'resize-crop'])
@pytest.mark.parametrize('shape', [(48, 80), (80, 48), (33, 70), (32, 32), (20, 20)])
def test_strategies_match_torchvision(strategy, shape):
    assert timm  # makes torchvision importable beside a CPU build of torch
    import torchvision.transforms.functional as tvf

    image = picture(*shape)
    pil = Image.fromarray(image)
    if strategy == 'letterbox':
        width, height = pil.size
        left, top = ((max(pil.size) - side) // 2 for side in (width, height))
        pil = tvf.pad(pil, (left, top, left, top), fill=(123, 116, 103))
    size = [32, 32] if strategy == 'resize-naive' else 32
    bicubic = tvf.InterpolationMode.BICUBIC
    pil = tvf.center_crop(tvf.resize(pil, size, interpolation=bicubic), [32, 32])
    expected = tvf.normalize(tvf.to_tensor(pil), PLAIN['means'][0], PLAIN['stds'][0])
    got = ImageProcessor.from_dict({**PLAIN, 'image_resize_strategy': strategy})(image)
    torch.testing.assert_close(got[0], expected, atol=1e-6, rtol=0)


def test_stored_parameters_win():
    stored = {
        **{key: value for key, value in PLAIN.items() if key not in ('means', 'stds')},
        'tvf_resize_params': [{'size': [16, 16], 'interpolation': 2}],
        'tvf_crop_params': [{'output_size': [16, 16]}],
        'tvf_normalize_params': [{'mean': [0.0] * 3, 'std': [1.0] * 3}],
    }
    pixels = ImageProcessor.from_dict(stored)(picture())
    assert pixels.shape == (1, 3, 16, 16)
    assert 0 <= pixels.min() < pixels.max() <= 1


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match='uint8 RGB'):
        ImageProcessor.from_dict(PLAIN)(image)


@pytest.mark.parametrize(
    ('image', 'way'),
    [
        (np.zeros((32, 48, 3)), r'\(image \* 255\).round\(\).astype\(np.uint8\)'),
        (np.zeros((3, 32, 48), np.uint8), r'image.transpose\(1, 2, 0\)'),
        (np.zeros((1, 32, 48, 3), np.uint8), r'one at a time, image\[0\]'),
        (np.zeros((32, 48), np.uint8), r"image.convert\('RGB'\)"),
        (np.zeros((32, 48, 4), np.uint8), r"image.convert\('RGB'\)"),
        (np.zeros((32, 48, 3), np.int64), r'give image.astype\(np.uint8\)'),
    ],
)
def test_an_array_of_another_kind_is_told_how_it_becomes_an_image(image, way):
    with pytest.raises(ValueError, match=way):
        ImageProcessor.from_dict(PLAIN)(image)


@pytest.mark.parametrize('image', [None, 'a.png'])
def test_what_is_no_picture_is_told_as_what_it_is(image):
    with pytest.raises(ValueError, match=rf'uint8 RGB, not array\({image!r}.*; None is what cv2'):
        ImageProcessor.from_dict(PLAIN)(image)


@pytest.mark.parametrize('shape', [(1, 1), (1, 640), (480, 15)])
def test_images_that_show_no_scene_are_refused(shape):
    with pytest.raises(ValueError, match=f'{shape[1]} x {shape[0]} pixels, and shows no scene'):
        ImageProcessor.from_dict(PLAIN)(np.zeros((*shape, 3), np.uint8))


def test_levels_that_were_cut_to_bytes_are_refused():
    """Of a picture from 0 to 1, `astype(np.uint8)` leaves black with some ones."""
    picture = np.linspace(0, 1, 64 * 64 * 3).reshape(64, 64, 3)
    with pytest.raises(ValueError, match='the levels 0 and 1 alone, of 255'):
        as_picture(picture.astype(np.uint8))
    dark = (3 * picture).astype(np.uint8)
    assert as_picture(dark) is dark


def test_a_tensor_that_numpy_cannot_read_is_told_what_makes_an_array_of_it():
    picture = torch.zeros(64, 64, 3)
    for tensor in (picture.bfloat16(), picture.requires_grad_()):
        with pytest.raises(ValueError, match=r'no array of numpy .*image.detach\(\).cpu\(\)'):
            as_picture(tensor)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', 'CMYK', 'YCbCr', 'HSV'])
def test_a_picture_of_pillow_in_other_colours_is_refused(mode):
    with pytest.raises(ValueError, match=rf"Pillow has it as {mode}: image\.convert\('RGB'\)"):
        ImageProcessor.from_dict(PLAIN)(Image.fromarray(picture()).convert(mode))


def test_a_picture_that_pillow_opened_is_seen_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: stored on its side
    Image.fromarray(picture()).save(tmp_path / 'photo.png', exif=exif)
    opened = Image.open(tmp_path / 'photo.png')
    as_seen = file_to_rgb(tmp_path / 'photo.png')
    assert as_seen.shape == (80, 48, 3)
    processor, turned = (
        ImageProcessor.from_dict(PLAIN),
        RecipePicture(read_recipe('plain'), side=32),
    )
    for image in (opened, opened.convert('RGB')):
        assert torch.equal(processor(image), processor(as_seen))
        assert np.array_equal(turned(image), as_seen)


def test_images_of_any_memory_layout():
    processor = ImageProcessor.from_dict(PLAIN)
    flipped = picture()[::-1, ::-1]
    assert torch.equal(processor(flipped), processor(np.ascontiguousarray(flipped)))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'image_resize_strategy': 'stretch'}, "'stretch'.*resize-naive"),
        ({'input_sizes': None}, 'incomplete or malformed'),
        ({'means': []}, 'incomplete or malformed'),
        ({'interpolations': ['sinc']}, r"interpolations\[0\] is 'sinc', expected one of nearest"),
        ({'input_sizes': [[32, 32]]}, r'input_sizes\[0\] is \[32\], expected pixels'),
        (resized(size={'longest_edge': 32}), r"tvf_resize_params\[0\]\.size is {'longest_edge'"),
        (resized(size=32.0), r'tvf_resize_params\[0\]\.size is 32\.0, expected pixels'),
        (resized(size=[0, 32]), r'size is \[0, 32\], expected pixels'),
        (resized(size=16), r'tvf_crop_params\[0\]\.output_size \(32, 32\) is more than'),
        (resized(interpolation=99), r'tvf_resize_params\[0\]\.interpolation is 99, expected one'),
    ],
)
def test_malformed_configurations(change, message):
    with pytest.raises(ValueError, match=message):
        ImageProcessor.from_dict({**PLAIN, **change})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'tvf_normalize_params': [{'mean': [0.5] * 3, 'std': [0.229, 0.224, 0.225]}]},
            r'tower 1 .* has means \[0\.485 .*tvf_normalize_params \[0\.5 0\.5 0\.5\]',
        ),
        (
            {'tvf_normalize_params': [{'mean': PLAIN['means'][0], 'std': [0.5] * 3}]},
            r'has stds .*trained with',
        ),
        ({'tvf_do_letterbox': True}, "strategy 'resize-naive' and tvf_do_letterbox True"),
    ],
)
def test_two_readings_of_one_file_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ImageProcessor.from_dict({**PLAIN, **change})


def test_means_that_were_rounded_are_those_of_the_file():
    rounded = {'mean': [0.484375, 0.455078125, 0.40625]}
    rounded['std'] = [0.228515625, 0.2236328125, 0.224609375]
    ImageProcessor.from_dict({**PLAIN, 'tvf_normalize_params': [rounded]})


SIGLIP, DINOV2 = 'vit_so400m_patch14_siglip_224', 'vit_large_patch14_reg4_dinov2.lvd142m'


@pytest.mark.parametrize(
    ('tower', 'mean', 'said'),
    [(DINOV2, 0.485, 0), (SIGLIP, 0.5, 0), (DINOV2, 0.5, 1), (SIGLIP, 0.485, 1), ('vit', 0.3, 0)],
)
def test_pictures_that_a_tower_was_not_trained_with_are_told(tower, mean, said):
    found = ImageProcessor.from_dict({**PLAIN, 'means': [[mean] * 3]}).doubts([tower])
    assert len(found) == said
    assert not said or f'tower 1, {tower}, pictures of mean {mean:g}, and such' in found[0]


def test_keys_without_effect_are_told():
    changes = {'crop_size': {'height': 64, 'width': 64}, 'image_mean': [0.5] * 3, 'size': None}
    (line,) = ImageProcessor.from_dict({**PLAIN, **changes}).doubts(['vit'])
    assert 'crop_size, image_mean in preprocessor_config.json have no effect' in line


@pytest.mark.parametrize(
    ('plain', 'written'),
    [
        ({'size': 40}, {'size': {'shortest_edge': 40}}),
        ({'size': [32, 40]}, {'size': {'height': 32, 'width': 40}}),
        ({'interpolation': 2}, {'interpolation': 'bilinear'}),
        ({'interpolation': 3}, {'interpolation': 'InterpolationMode.BICUBIC'}),
    ],
)
def test_sizes_and_filters_as_others_write_them(plain, written):
    expected, found = (
        ImageProcessor.from_dict({**PLAIN, **resized(**x)}) for x in (plain, written)
    )
    assert torch.equal(found(picture()), expected(picture()))
