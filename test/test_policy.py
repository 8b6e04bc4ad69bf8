# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy turns observations into actions, and says what is wrong with bad ones."""

import gc
import json
import re
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from toy_checkpoint import write_tiny, write_tiny_drafter

from spec_vla_ros import cli
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.models.files.weight_files import fingerprint_of_checkpoint
from spec_vla_ros.models.recipe_pictures import RecipePicture
from spec_vla_ros.models.recipes import read_recipe
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.policy import load_policy
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.types import Decoding, InstructionError, NotAnActionError, Observation

INSTRUCTION = 'pick up the red block'


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp('policy'))


@pytest.fixture
def policy(folder):
    return load_policy(folder, device='cpu')


def test_action_is_consistent(policy):
    action = policy.infer(Observation(image(), INSTRUCTION))
    assert action.tokens.shape == action.values.shape == action.normalised.shape == (7,)
    assert action.tokens.dtype == np.int64
    np.testing.assert_allclose(action.values, 0.05 * action.normalised)
    assert action.stats.mode == 'autoregressive'
    assert action.stats.target_passes == 7
    assert {'vision', 'prefill', 'decode'} <= action.stats.phases_ms.keys()
    assert all(ms > 0 for ms in action.stats.phases_ms.values())


def test_nothing_is_carried_from_one_observation_to_the_next(policy, folder):
    first = policy.infer(Observation(image(1), INSTRUCTION))
    policy.infer(Observation(image(2), 'pick up the green block'))
    again = policy.infer(Observation(image(1), INSTRUCTION))
    fresh = load_policy(folder, device='cpu').infer(Observation(image(1), INSTRUCTION))
    for other in (again, fresh):
        assert np.array_equal(other.tokens, first.tokens)


def test_a_sibling_shares_the_weights_and_no_past(policy):
    twin = policy.sibling()
    seen = Observation(image(1), INSTRUCTION)
    first = policy.infer(seen)
    policy.infer(Observation(image(2), 'pick up the green block'))
    assert np.array_equal(twin.infer(seen).tokens, first.tokens)
    assert torch.equal(twin.prompt(seen), policy.prompt(seen))
    assert twin.info == policy.info


def test_threads_wait_for_each_other(policy):
    """Two inferences at once wrote into one KV cache, and gave some action."""
    seen = [Observation(image(seed), INSTRUCTION) for seed in range(4)]
    alone = [policy.infer(each).tokens for each in seen]
    with ThreadPoolExecutor(len(seen)) as threads:
        for _ in range(5):
            side_by_side = threads.map(policy.infer, seen)
            for action, tokens in zip(side_by_side, alone, strict=True):
                assert np.array_equal(action.tokens, tokens)


def test_a_sibling_waits_for_nobody(policy):
    twin = policy.sibling()
    with policy._lock, ThreadPoolExecutor(1) as thread:
        found = thread.submit(twin.infer, Observation(image(), INSTRUCTION))
        assert found.result(timeout=60).values.shape == (7,)


@pytest.mark.parametrize('given', [image(), {'image': image()}, None])
def test_what_is_no_observation_is_told_as_what_it_is(policy, given):
    with pytest.raises(ValueError, match=rf'{type(given).__name__}: give an Observation\(image, '):
        policy.infer(given)


@pytest.mark.parametrize('given', ['relaxed', INSTRUCTION, 9])
def test_what_is_no_decoding_is_told_as_what_it_is(policy, given):
    with pytest.raises(ValueError, match=f'decoding {given!r}: give a Decoding, such as'):
        policy.infer(Observation(image(), INSTRUCTION), given)


def test_prompt_is_embedded_once_per_instruction(policy, monkeypatch):
    calls = []
    embed = policy._model.prompt_embeds
    monkeypatch.setattr(policy._model, 'prompt_embeds', lambda ids: calls.append(1) or embed(ids))
    for text in (INSTRUCTION, INSTRUCTION, 'pick up the green block'):
        policy.infer(Observation(image(), text))
    assert len(calls) == 2


def test_action_length_comes_from_the_norm_stats(tmp_path):
    policy = load_policy(write_tiny(tmp_path / 'three', dimensions=3), device='cpu')
    action = policy.infer(Observation(image(), INSTRUCTION))
    assert action.values.shape == (3,)
    assert action.stats.target_passes == 3


def test_warm_up_changes_nothing(policy):
    before = policy.infer(Observation(image(), INSTRUCTION)).tokens
    policy.warm_up()
    policy.reset()
    assert np.array_equal(policy.infer(Observation(image(), INSTRUCTION)).tokens, before)


def test_warm_up_leaves_nothing_to_draft_from(tmp_path):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'tiny'))
    guesses = []
    for warm in (True, False):
        policy = load_policy(folder, device='cpu', tree=TreeShape(1, 6, 6))
        if warm:
            policy.warm_up(Decoding('relaxed', 60))
        action = policy.infer(Observation(image(), INSTRUCTION), Decoding('relaxed', 60))
        guesses.append((action.stats.guesses, action.tokens.tolist()))
    assert guesses[0] == guesses[1]
    assert guesses[0][0] == 0


def test_a_recipe_prepares_the_picture_and_reads_the_action(policy, folder):
    """Asked with the picture that its recipe makes, a plain policy chooses the same tokens."""
    recipe = read_recipe('libero', gripper_range=(-1.0, 1.0))
    trained = load_policy(folder, device='cpu', recipe=recipe)
    action = trained.infer(Observation(image(), INSTRUCTION))
    prepared = RecipePicture(recipe, side=64)(image())
    plain = policy.infer(Observation(prepared, INSTRUCTION))
    assert np.array_equal(action.tokens, plain.tokens)
    assert np.array_equal(action.normalised, plain.normalised)
    np.testing.assert_allclose(action.values[:3], 0.05 * plain.values[:3])
    np.testing.assert_allclose(action.values[3:6], 0.5 * plain.values[3:6])
    assert action.values[6] == (plain.values[6] > 0)
    assert trained.info.recipe == str(recipe)


@pytest.mark.parametrize(
    ('scale', 'bins'), [((1.0, 1.0), (10, 25)), ((0.5, 5.0), (20, 5)), ((10.0, 10.0), (1, 2))]
)
def test_tolerances_are_in_metres_and_radians_whatever_the_recipe_scales(tmp_path, scale, bins):
    """Or a draft token could be ten times as far from the model's choice as was allowed."""
    policy = load_policy(
        write_tiny_drafter(write_tiny(tmp_path)),
        device='cpu',
        recipe=read_recipe('plain', action_scale=scale),
    )
    allowed = Decoding(
        'relaxed', acceptance_tolerance_translation=0.004, acceptance_tolerance_rotation=0.01
    )
    stats = policy.infer(Observation(image(), INSTRUCTION), allowed).stats
    assert stats.acceptance_thresholds == (bins[0],) * 3 + (bins[1],) * 3 + (0,)


def test_a_recipe_by_name_or_file(folder, tmp_path):
    assert load_policy(folder, device='cpu', recipe='bridge').info.recipe.startswith('bridge (')
    (tmp_path / 'mine.yaml').write_text('image_crop: 0.9')
    named = load_policy(folder, device='cpu', recipe=tmp_path / 'mine.yaml')
    assert named.info.recipe == 'mine (image_crop 0.9)'
    with pytest.raises(ValueError, match='none of plain, libero, bridge'):
        load_policy(folder, recipe='lib')


def test_a_recipe_of_other_actions_is_refused(tmp_path):
    folder = write_tiny(tmp_path / 'three', dimensions=3)
    with pytest.raises(ValueError, match='changes actions of 7 dimensions'):
        load_policy(folder, recipe='libero')


def test_the_log_says_what_is_applied_and_what_is_only_suggested(tmp_path, caplog):
    folder = write_tiny(tmp_path / 'libero')
    action = {'q01': [-0.9] * 6 + [0.0], 'q99': [0.9] * 6 + [1.0]}
    stats = {'libero_goal': {'action': action}}
    (folder / 'dataset_statistics.json').write_text(json.dumps(stats))
    caplog.set_level('INFO')
    load_policy(folder, device='cpu', unnorm_key='libero_goal')
    assert "norm stats 'libero_goal', recipe plain (pictures and actions as they" in caplog.text
    warned = [r.getMessage() for r in caplog.records if r.levelname == 'WARNING']
    assert any('cannot be metres' in line for line in warned)
    assert any('recipe libero' in line and 'not applied' in line for line in warned)
    caplog.clear()
    load_policy(folder, device='cpu', recipe='libero')
    assert "norm stats 'libero_goal', recipe libero (image_rotation 180" in caplog.text
    assert not [r for r in caplog.records if r.levelname == 'WARNING']


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'drafter': 'nowhere'}, 'nowhere'),
        ({'drafter': ''}, "a folder's name is empty"),
        ({'stored_as': 'int8'}, 'torchao'),
        ({'device': None}, "unknown device None: use 'auto', 'cpu' or 'cuda'"),
        ({'config': {'device': 'cpu'}}, 'give a PolicyConfig, or its fields by name'),
    ],
)
def test_cheap_mistakes_end_before_weights_are_read(tmp_path, monkeypatch, options, reason):
    monkeypatch.setitem(sys.modules, 'torchao.quantization', None)
    folder = write_tiny(tmp_path / 'tiny')
    (folder / 'model.safetensors').write_bytes(b'no weights')
    with pytest.raises(ValueError, match=reason):
        load_policy(folder, **{'device': 'cpu', **options})


def test_a_drafter_of_another_size_is_told_before_weights_are_read(tmp_path):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'tiny'))
    file = folder / 'drafter' / 'config.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), 'hidden_size': 64}))
    (folder / 'model.safetensors').write_bytes(b'no weights')
    with pytest.raises(ValueError, match='made for another target: hidden_size is 64'):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize('pickled', [False, True])
@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda w: w.pop('fc.weight'), 'no drafter of this shape; missing: fc.weight'),
        (lambda w: w.update({'lm_head.weight': torch.ones(2, 2)}), 'unexpected: lm_head.weight'),
        (lambda w: w.update({'fc.weight': torch.ones(2, 2)}), r'fc.weight is \(2, 2\)'),
        (lambda w: w.update({'midlayer.q': torch.ones(2, 2)}), 'is an EAGLE-3 drafter'),
        (dict.clear, 'has neither model.safetensors nor pytorch_model.bin'),
    ],
)
def test_weights_of_no_drafter_are_told_before_weights_are_read(tmp_path, change, reason, pickled):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'tiny'))
    (folder / 'model.safetensors').write_bytes(b'no weights')
    file = folder / 'drafter' / 'model.safetensors'
    weights = load_file(file)
    file.unlink()
    change(weights)
    if weights and pickled:
        torch.save(weights, file.with_name('pytorch_model.bin'))
    elif weights:
        save_file(weights, file)
    with pytest.raises(ValueError, match=reason):
        load_policy(folder, device='cpu')


def test_too_few_positions_for_a_prompt_are_told_when_the_policy_is_loaded(tmp_path):
    folder = write_tiny(tmp_path)
    file = folder / 'config.json'
    config = json.loads(file.read_text())
    config['text_config']['max_position_embeddings'] = 16
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r'max_position_embeddings is 16, and image, .*config\.j'):
        load_policy(folder, device='cpu')


def test_weights_need_no_gradient(policy):
    assert not any(p.requires_grad for p in policy._model.parameters())


def test_bad_observations(policy):
    with pytest.raises(ValueError, match='uint8 RGB'):
        policy.infer(Observation(np.zeros((4, 4), np.uint8), INSTRUCTION))
    with pytest.raises(ValueError, match="'juggle'"):
        policy.infer(Observation(image(), 'juggle the block'))
    with pytest.raises(ValueError, match='too long'):
        policy.infer(Observation(image(), 'pick up ' * 60))
    assert policy.infer(Observation(image(), INSTRUCTION)).values.shape == (7,)


@pytest.mark.parametrize('given', [['pick', 'place'], [1, [2]], np.ones((1, 3), int), [1.5]])
def test_what_is_neither_words_nor_ids_is_told_as_it_was_given(policy, given):
    with pytest.raises(ValueError, match='neither words') as told:
        policy.infer(Observation(image(), given))
    assert 'np.' not in str(told.value)


def test_ids_of_a_prompt_that_change_are_another_prompt(policy):
    """A list that was written over kept its first answer, and an array ended in an error."""
    ids = [1, 7, 8, 9]
    given = [ids, np.array([1, 7, 8, 9]), np.array([1, 20, 30, 40]), ids]
    answers = []
    for instruction in given:
        seen = Observation(image(), instruction)
        answers.append(policy.infer(seen).normalised)
        ids[1:] = [20, 30, 40]
    assert (answers[0] == answers[1]).all()
    assert (answers[2] == answers[3]).all()
    assert (answers[1] != answers[2]).any()


def test_unknown_key_is_told_before_the_weights_are_read(folder, monkeypatch):
    monkeypatch.setattr('spec_vla_ros.policy.load_openvla', None)
    with pytest.raises(ValueError, match=r"'nowhere'.*'tiny'"):
        load_policy(folder, unnorm_key='nowhere')


@pytest.mark.parametrize(
    ('option', 'valid'),
    [
        ('dtype', 'auto, float32, float16, bfloat16'),
        ('stored_as', 'int8, int4'),
        ('draft_position_mode', 'correct, reference'),
    ],
)
def test_unknown_words_are_told_before_the_weights_are_read(folder, monkeypatch, option, valid):
    monkeypatch.setattr('spec_vla_ros.policy.load_openvla', None)
    with pytest.raises(ValueError, match=f"{option} 'best' is none of {valid}"):
        load_policy(folder, **{option: 'best'})


@pytest.mark.parametrize(
    ('option', 'value', 'wanted'),
    [
        ('tree', (1, 6, 6), r'a TreeShape\(top_k, depth, nodes\)'),
        ('drafter', False, r"its folder, or None .* Decoding\('autoregressive'\)"),
        ('recipe', None, 'a Recipe, the name of one'),
        ('unnorm_key', 0, 'the name of norm stats'),
    ],
)
def test_options_of_another_kind_are_told_by_name(folder, monkeypatch, option, value, wanted):
    monkeypatch.setattr('spec_vla_ros.policy.load_openvla', None)
    with pytest.raises(ValueError, match=f'{option} {re.escape(repr(value))}: give {wanted}'):
        load_policy(folder, **{option: value})


@pytest.mark.parametrize('option', ['torch_dtype', 'observation_recipe'])
def test_an_option_that_there_is_not_is_told_with_those_there_are(folder, option):
    """As transformers or the node call them."""
    with pytest.raises(
        TypeError, match=f'no option {option}: give unnorm_key, recipe, device, dt'
    ):
        load_policy(folder, **{option: 'plain'})


def test_whether_cuda_graphs_are_recorded_is_a_bool():
    with pytest.raises(ValueError, match="cuda_graphs 'off': give True or False"):
        PolicyConfig(cuda_graphs='off')


def test_options_are_fields_of_the_configuration(folder):
    config = PolicyConfig(device='cpu', dtype='bfloat16')
    assert load_policy(folder, config=config).info.dtype == 'bfloat16'
    assert load_policy(folder, config=config, dtype='float32').info.dtype == 'float32'
    with pytest.raises(TypeError, match='dtyp'):
        load_policy(folder, dtyp='float32')


def test_a_policy_says_what_it_is(policy, folder):
    info = policy.info
    assert (info.checkpoint, info.unnorm_key) == (str(folder), 'tiny')
    assert (info.device, info.dtype) == ('cpu', 'float32')
    assert info.files == fingerprint_of_checkpoint(folder)
    assert info.parameters > 10_000
    assert not info.has_drafter
    assert info.device_memory_mb is None


def test_half_precision_runs(folder):
    policy = load_policy(folder, device='cpu', dtype='bfloat16')
    assert policy.infer(Observation(image(), INSTRUCTION)).values.shape == (7,)


def test_a_policy_that_nobody_holds_leaves_its_memory_at_once(folder):
    """Another one may need it on the device, before the collector comes."""
    loaded = load_policy(folder, device='cpu')
    loaded.infer(Observation(image(), INSTRUCTION))
    weights = weakref.ref(loaded._model.language_model)
    gc.disable()
    try:
        del loaded
        assert weights() is None
    finally:
        gc.enable()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_gives_the_same_tokens(folder, policy):
    on_gpu = load_policy(folder, device='cuda', dtype='float32')
    for seed in range(5):
        observation = Observation(image(seed), INSTRUCTION)
        assert np.array_equal(on_gpu.infer(observation).tokens, policy.infer(observation).tokens)


def test_predict_command(folder, tmp_path, capsys, policy):
    Image.fromarray(image()).save(tmp_path / 'x.png')
    words = ['--checkpoint', str(folder), '--image', str(tmp_path / 'x.png')]
    assert cli.main(['predict', *words, '--instruction', INSTRUCTION, '--device', 'cpu']) == 0
    tokens = policy.infer(Observation(image(), INSTRUCTION)).tokens
    assert f'tokens  {" ".join(map(str, tokens))}\n' in capsys.readouterr().out


def test_inspect_command(folder, capsys):
    assert cli.main(['inspect', str(folder)]) == 0
    out = capsys.readouterr().out
    assert 'spec_vla_vit_patch16_64 at 64 px' in out
    assert 'tiny: 7 dimensions' in out


def test_command_errors_are_one_line(tmp_path, capsys):
    assert cli.main(['inspect', str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith('spec-vla inspect: error: ')
    assert error.count('\n') == 1


def test_unknown_command_lists_the_valid_ones(capsys):
    with pytest.raises(SystemExit):
        cli.main(['nonsense'])
    assert 'predict' in capsys.readouterr().err


@pytest.fixture(scope='module')
def words(tmp_path_factory):
    """A checkpoint that answers in words, as one that was never taught actions."""
    return write_tiny_drafter(write_tiny(tmp_path_factory.mktemp('words'), answers='words'))


@pytest.mark.parametrize('mode', ['autoregressive', 'strict', 'relaxed'])
def test_words_instead_of_an_action_are_an_error(words, mode):
    policy = load_policy(words, device='cpu')
    with pytest.raises(NotAnActionError, match='none of the action ids 64 to 319') as error:
        policy.infer(Observation(image(), INSTRUCTION), Decoding(mode, 3))
    assert len(error.value.tokens) == 7
    assert not set(error.value.tokens) <= set(policy.codec.action_ids)


@pytest.mark.parametrize('mode', ['autoregressive', 'relaxed'])
@pytest.mark.parametrize(
    'where',
    [
        lambda model: model.embed_tokens.weight,  # the prompt's numbers end
        lambda model: model.layers[0].post_attention_layernorm.weight,  # the passes' do
    ],
    ids=['prompt', 'passes'],
)
@pytest.mark.parametrize('refuse_words', [True, False])
def test_numbers_that_overflow_are_not_called_words(tmp_path, where, mode, refuse_words):
    policy = load_policy(write_tiny_drafter(write_tiny(tmp_path)), device='cpu')
    where(policy._model.language_model.model).data.fill_(torch.inf)
    seen = Observation(image(), INSTRUCTION)
    with pytest.raises(NotAnActionError, match='computed NaN or infinity in float32') as error:
        policy.infer(seen, Decoding(mode, 3), refuse_words=refuse_words)
    assert len(error.value.tokens) == 7


@pytest.mark.parametrize('mode', ['autoregressive', 'strict', 'relaxed'])
@pytest.mark.parametrize(
    'tree',
    [
        TreeShape(2, 2, 4),
        TreePlan.from_text('- - - - - - - guesses 0'),
        TreePlan.from_text('- - - - - - - guesses 4'),
    ],
    ids=str,
)
def test_an_action_says_which_plan_was_in_force(words, tree, mode):
    policy = load_policy(words, device='cpu', tree=tree)
    observation = Observation(image(), INSTRUCTION)
    first, second = (
        policy.infer(observation, Decoding(mode, 3), refuse_words=False).stats for _ in range(2)
    )
    planned = isinstance(tree, TreePlan) and mode != 'autoregressive'
    assert second.draft_plan == (tree.text if planned else '')
    assert second.drafting_off == (planned and not tree.guesses)
    assert first.guesses == 0  # nothing is known yet
    assert bool(second.guesses) == (mode != 'autoregressive' and not second.drafting_off)


def test_a_pillow_picture_is_its_pixels(policy):
    seen = [policy.infer(Observation(x, INSTRUCTION)) for x in (image(), Image.fromarray(image()))]
    np.testing.assert_array_equal(seen[0].tokens, seen[1].tokens)


def test_unknown_words_are_no_fault_of_the_image(policy):
    with pytest.raises(InstructionError, match="does not know the words 'hiss'"):
        policy.infer(Observation(image(), 'hiss'))


def test_words_become_the_nearest_bins_when_asked_for(words):
    policy = load_policy(words, device='cpu')
    action = policy.infer(Observation(image(), INSTRUCTION), refuse_words=False)
    assert set(action.tokens) <= set(range(64))
    np.testing.assert_allclose(action.values, 0.05 * policy.codec.tokens_to_normalised(0))


def test_predict_wants_a_published_fine_tunes_recipe(tmp_path, capsys):
    """As the node does, which would move by what is printed here."""
    folder = write_tiny(tmp_path / 'tiny')
    config = json.loads((folder / 'config.json').read_text())
    config['norm_stats'] = {'libero_goal_no_noops': config['norm_stats']['tiny']}
    (folder / 'config.json').write_text(json.dumps(config))
    Image.fromarray(image()).save(tmp_path / 'x.png')
    options = ['--checkpoint', str(folder), '--image', str(tmp_path / 'x.png'), '--device', 'cpu']
    command = ['predict', *options, '--instruction', INSTRUCTION]
    assert cli.main(command) == 2
    said = capsys.readouterr()
    assert 'give --recipe libero, or --recipe plain for none' in said.err
    assert not said.out
    for recipe in ('libero', 'plain'):
        assert cli.main([*command, '--recipe', recipe]) == 0


def test_predict_says_that_the_answer_is_no_action(words, tmp_path, capsys):
    Image.fromarray(image()).save(tmp_path / 'x.png')
    options = ['--checkpoint', str(words), '--image', str(tmp_path / 'x.png'), '--device', 'cpu']
    assert cli.main(['predict', *options, '--instruction', INSTRUCTION]) == 2
    said = capsys.readouterr()
    assert 'answered in words instead of an action' in said.err
    assert 'action ' not in said.out
