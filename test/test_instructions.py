# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What is no task is refused, in whatever words; tasks are taken, whatever words they have."""

import pytest

from spec_vla_ros.instructions import says_stop
from spec_vla_ros.types import MAX_INSTRUCTION, instruction_fault

OTHERS = ('NONE', 'Null', 'FALSE', 'yes', 'none.')
PLACEHOLDERS = (
    *('n/a', 'N/A', 'nan', 'NaN', 'undefined', 'noop', 'no-op', 'unknown', 'default'),
    *('placeholder', 'dummy', 'your instruction here'),
)
STOP_IN_OTHER_WORDS = (
    *('ESTOP', 'robot, stop', "don't move", 'don’t move', 'stand still', 'hold', 'no!', 'ok stop'),
    *(
        'robot stop',
        'come to a stop',
        'hey robot, stop',
        'Please, just stop!',
        'stop please robot',
    ),
    *('do not move', 'never move', 'no more', 'stay still', 'keep still', 'Hold still, please'),
    *(
        'stop the arm from moving',
        'stop all motion',
        'abort mission',
        'stopp',
        'STOOOP',
        'do nothing',
    ),
    *(
        'ＳＴＯＰ',
        'ｓｔｏｐ',
        'stop\u200d',
        'stop\u200b',
        '"stop"',
        '{data: stop}',
        'turn off',
        'shutdown',
    ),
    *('halt an', 'Halt, Roboter!', 'nicht bewegen', 'Beweg dich nicht!', 'Not-Aus', 'aufhören'),
    *(
        'arrêt',
        'Arrête-toi !',
        'ne bouge pas',
        "arrêt d'urgence",
        'Arrête le robot, s’il te plaît',
    ),
    *('para', 'detente', 'Por favor, ¡detente ya!', 'no te muevas', '¡Alto!'),
    *('fermati', 'Non muoverti', 'stai fermo', 'pare', 'não se mova', 'Pare o robô agora'),
    *('стоп', 'Стой!', 'Робот, остановись', 'не двигайся'),
    *('停止', '请停下来！', '机器人，停', '别动', '止まれ', 'ストップ', '動かないでください'),
    *('emergency stop pressed', 'estop triggered', 'stop motors', 'stop button', 'brake'),
    *(
        'stop there is a person',
        'stop because of the human',
        'stop or you hit it',
        'wait there is',
    ),
    *('stop - obstacle', 'Stop! There is a person', 'stop. pick up the red block', 'stop: person'),
    *(
        'stop before you hit the cup',
        'stop, pick up the red block',
        '停，把红色的拿起来',
        'stop—now what',
    ),
    *('protective stop', 'safety stop', 'soft stop', 'S.T.O.P.', 's t o p', 'do not', "don't"),
    *('멈춰', '멈추세요', '정지', '로봇, 멈춰!', '움직이지 마세요'),
)
TASKS = (
    *('stop the conveyor at the red block', 'hold the cup', 'put the stop sign into the box'),
    *('move the no entry sign', 'halt sign', 'move the stop', 'wait for the ball', 'hold it up'),
    *(
        'turn off the lamp',
        'pick up the emergency button',
        'keep the cup still',
        'press pause twice',
    ),
    *(
        'stop the rolling ball with the gripper',
        'press the stop button',
        'pick up the brake light',
    ),
    *(
        'pick up the block, then stop',
        'lift it. stop',
        'no, pick up the red block',
        'hold the motor',
    ),
    *(
        'stop-sign to the left',
        'hold the button',
        'turn off the motor',
        'stop the ball, then lift it',
    ),
    *('put the dummy on the default plate', 'move the t o p', 'stop the ball before it falls'),
    *('hold the cup or the bowl', 'put the block there, or stop', 'brake light into the box'),
    *('do not move the cup', 'put the naan on the undefined plate', 'move it to the robot'),
    *(
        'halte die Tasse',
        'para la taza azul',
        'mets le bloc rouge dans la boîte',
        'alto vaso azul',
    ),
    *('поставь стоп знак', '把停止按钮放进盒子', '止まれの標識を動かして', '정지 표지판을 집어'),
)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        *((text, f'is {text!r}, as an empty or a yes-no {{data: }} sends') for text in OTHERS),
        *((text, 'which stands for nothing; to cancel') for text in PLACEHOLDERS),
        *((text, 'which a policy would try to act out') for text in STOP_IN_OTHER_WORDS),
    ],
)
def test_what_is_no_task_is_refused_with_the_reason(text, words):
    assert words in instruction_fault(text)


@pytest.mark.parametrize('text', TASKS)
def test_a_task_that_has_such_a_word_is_taken(text):
    assert instruction_fault(text) is None


@pytest.mark.parametrize('word', ['stop', 'no', 'move no more', 'halten sie bitte', 's' * 9])
def test_long_ones_are_told_at_once(word):
    """Words are looked at once; a pattern that tries them in all ways would not end here."""
    text = f'{word} ' * (MAX_INSTRUCTION // (len(word) + 1))
    says_stop(text)
    assert not says_stop(f'{text[:-9]} block')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('In: What action should the robot take to pick up the red block? Out:', 'of the prompt'),
        ('What action should the robot take to pick up the block?', "after 'take to'"),
        ('[INST] pick up the block [/INST]', 'of the prompt'),
        *((t, 'not filled in') for t in ('{<INSTRUCTION>}', '<INSTRUCTION>', '{instruction}')),
        *((t, 'not filled in') for t in ('TODO', 'tbd', 'instruction', '[your instruction]')),
        ('what action should robot take to pick up the cup?', 'of the prompt'),
        *((f'{label} pick up the cup', 'or a label') for label in ('Task:', 'USER:', 'data:')),
        ('language_instruction = pick up the cup', 'or a label'),
        ('pick up the cup ASSISTANT:', 'or a label'),
        *((t, 'as Python prints') for t in ("b'pick up'", "('pick up',)", '["pick up"]')),
        *((f'pick up the {t}', 'not filled in') for t in ('[object]', '$OBJECT', '%s', '____')),
        *((t, 'not filled in') for t in ('$TASK', 'pick%20up', 'pick&nbsp;up')),
        ('{data: pick up the red block}', 'plain words'),
        (r'pick up\nthe block', 'has a backslash'),
        ('pick_up_the_bowl_and_place_it_on_the_plate', 'as the name of a task'),
        *((t, 'in words with blanks') for t in ('KITCHEN_open_drawer.bddl', 'pick-up-the-cup')),
        *((f'{a}pick up the block{b}', 'leave them out') for a, b in ('""', "''", '“”', '«»')),
    ],
)
def test_what_is_put_around_an_instruction_is_refused(text, words):
    assert words in instruction_fault(text)


@pytest.mark.parametrize(
    'text',
    [
        'Pick up the red block.',
        "'A' goes into the box 'B'",
        "put the block on the 'x'",
        'todo el vaso a la caja',
        'check in: take the box out',
        'take the task: sheet out',
        'fill the cup to 50 % with salt & pepper, for $5',
        'put the block (the red one) on B',
        'pick-up',
        'pick_up the block-like thing',
    ],
)
def test_marks_within_are_taken(text):
    assert instruction_fault(text) is None
