# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Images and prompts reach the model as OpenVLA's own processor would give them."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from toy_checkpoint import tiny_tokenizer

from spec_vla_ros.models.processing import ImageProcessor, PromptProcessor
from spec_vla_ros.models.timm_import import timm
from spec_vla_ros.types import InstructionError

PLAIN = {
    'image_resize_strategy': 'resize-naive',
    'input_sizes': [[3, 32, 32]],
    'interpolations': ['bicubic'],
    'means': [[0.485, 0.456, 0.406]],
    'stds': [[0.229, 0.224, 0.225]],
}


def picture(height=48, width=80, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize('strategy', ['resize-naive', 'letterbox', 'resize-crop'])
@pytest.mark.parametrize('shape', [(48, 80), (80, 48), (33, 70), (32, 32), (20, 20)])
def test_strategies_match_torchvision(strategy, shape):
    assert timm  # makes torchvision importable beside a CPU build of torch
    import torchvision.transforms.functional as tvf
    from PIL import Image

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
        **PLAIN,
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


@pytest.mark.parametrize('image', [None, 'a.png'])
def test_what_is_no_picture_is_told_as_what_it_is(image):
    with pytest.raises(ValueError, match=rf'uint8 RGB, not array\({image!r}.*; None is what cv2'):
        ImageProcessor.from_dict(PLAIN)(image)


@pytest.mark.parametrize('shape', [(1, 1), (1, 640), (480, 15)])
def test_images_that_show_no_scene_are_refused(shape):
    with pytest.raises(ValueError, match=f'{shape[1]} x {shape[0]} pixels, and shows no scene'):
        ImageProcessor.from_dict(PLAIN)(np.zeros((*shape, 3), np.uint8))


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
        ({'interpolations': ['sinc']}, 'incomplete or malformed'),
    ],
)
def test_malformed_configurations(change, message):
    with pytest.raises(ValueError, match=message):
        ImageProcessor.from_dict({**PLAIN, **change})


def prompts(**options):
    return PromptProcessor(tiny_tokenizer(), vocab_size=320, **options)


def test_prompt_starts_with_bos_and_ends_with_the_empty_piece():
    ids = prompts()('Pick UP the red block')
    words = [tiny_tokenizer().id_to_token(i) for i in ids[0].tolist()]
    text = '<s> In : What action should <unk> robot take to pick up the red block ? Out : \u2581'
    assert words == text.replace('<unk>', 'the').split()
    assert ids.dtype == torch.int64


def test_given_ids_are_completed_only_where_needed():
    empty = tiny_tokenizer().token_to_id('\u2581')
    assert prompts()([7, 8]).tolist() == [[1, 7, 8, empty]]
    assert prompts()([1, 7, empty]).tolist() == [[1, 7, empty]]


@pytest.mark.parametrize('given', [b'pick up', bytearray(b'pick up'), np.bytes_(b'pick up')])
def test_bytes_are_no_ids(given):
    with pytest.raises(InstructionError, match=r'is bytes.*: give its words, instruction.decode'):
        PromptProcessor(None, vocab_size=320)(given)


@pytest.mark.parametrize('given', [None, ['pick up'], [1.5], np.array(b'pick up', object)])
def test_what_is_neither_words_nor_ids_is_told(given):
    with pytest.raises(InstructionError, match=r'neither words .* nor the ids of a prompt'):
        PromptProcessor(None, vocab_size=320)(given)


def test_the_empty_piece_is_llamas_where_there_is_no_tokenizer():
    assert PromptProcessor(None, vocab_size=32000)([1, 5]).tolist() == [[1, 5, 29871]]
    assert PromptProcessor(None, vocab_size=320)([1, 5]).tolist() == [[1, 5]]


@pytest.mark.parametrize('text', ['', '   ', 'pick\nup', 'None', 'up ' * 200])
def test_instructions_that_the_node_refuses_are_refused(text):
    with pytest.raises(InstructionError, match='the instruction'):
        prompts()(text)


def test_blanks_around_an_instruction_do_not_matter():
    assert torch.equal(prompts()(' pick up\n'), prompts()('pick up'))


@pytest.mark.parametrize('blank', ['\u00a0', '  ', '\u3000', '\u2009'])
def test_blanks_within_an_instruction_are_all_one(blank):
    assert torch.equal(prompts()(f'pick{blank}up'), prompts()('pick up'))


def test_a_vocabulary_of_llamas_size_is_to_be_llamas():
    with pytest.raises(ValueError, match="another language model's: its id of the space is 3"):
        PromptProcessor(tiny_tokenizer(), vocab_size=32000)


def test_llamas_tokenizer_does_not_go_with_other_action_ids():
    words = ('<unk>', '<s>', '</s>', *(f'word{i}' for i in range(29868)), '\u2581')
    model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token='<unk>')
    tokenizer = Tokenizer(model)
    assert PromptProcessor(tokenizer, vocab_size=32000)([1]).tolist() == [[1, 29871]]
    with pytest.raises(ValueError, match=r'32064 text tokens .* would be taken for actions'):
        PromptProcessor(tokenizer, vocab_size=32064)


def test_unknown_words_are_named():
    with pytest.raises(ValueError, match="'purple', 'cat'"):
        prompts()('pick up the purple cat')


def test_half_characters_are_refused():
    with pytest.raises(ValueError, match='half characters'):
        prompts()('pick \ud83d up')


def test_no_tokenizer_is_explained():
    with pytest.raises(ValueError, match=r'tokenizer\.json'):
        PromptProcessor(None, vocab_size=32000)('pick')


def test_broken_tokenizer_file(tmp_path):
    (tmp_path / 'tokenizer.json').write_text('{}')
    with pytest.raises(ValueError, match='not a tokenizer file'):
        PromptProcessor.from_file(tmp_path / 'tokenizer.json', vocab_size=320)
