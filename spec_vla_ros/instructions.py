# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recognises texts that are no instructions, which a policy would act out all the same.

A policy answers any words with motion. So this module finds texts that only say stop, in several
languages and with the words that people put around it, and texts that begin with it ("stop, there
is a person"). A task with such a word somewhere ("stop the ball", "hold the cup", "lift it, then
stop") is accepted.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_YES_NO = frozenset({'none', 'null', 'true', 'false', 'yes', 'on'})
"""What `ros2 topic pub` and YAML make of {data: }, {data: no} and the like, and similar words."""

_PLACEHOLDERS = frozenset(
    {
        *('n a', 'na', 'nan', 'nil', 'undefined', 'unknown', 'default', 'noop', 'no op'),
        *('placeholder', 'dummy', 'your instruction here', 'instruction here', 'your task here'),
    }
)
"""What programs write if there is no text; without punctuation, like all texts below."""


def _folded(text: str) -> str:
    """Return text in lower case, without accents, full-width and invisible characters."""
    apart = unicodedata.normalize('NFKD', text)
    bare = ''.join(c for c in apart if unicodedata.category(c) not in ('Mn', 'Cf'))
    return unicodedata.normalize('NFC', bare).casefold()


def _plain(text: str) -> str:
    """Return the folded words separated by blanks, without punctuation; don't becomes dont."""
    return ' '.join(re.sub(r'[\W_]+', ' ', re.sub("['’ʼ`´]", '', _folded(text))).split())


_PHRASES = (
    # English
    r'stop [a-z]{2,}ing|shut down|stand by|do nothing|hold on|no more|move no more',
    r'(?:turn|switch|power)(?: yourself| it)? off',
    r'come to (?:a |an )?(?:[a-z]+ )?(?:stop|halt|standstill|rest)',
    r'(?:dont|do not|never|must not|no longer)(?: you)? (?:move|continue|go(?: on)?|act|budge)',
    r'(?:dont|do not)(?: you)? (?:do|move|touch) (?:anything|any more|that|this|it)',
    r'(?:be|sit|stand|stay|hold|keep|remain|lie)(?: it| yourself| (?:the )?(?:robot|arm))? '
    r'(?:still|put|motionless|in place|(?:your )?position|where you are)',
    # German
    r'halt(?:en)?(?: sie)?(?: bitte)? an|hore? auf|not aus|not halt|stehen bleiben',
    r'bleib(?:en sie)? stehen|keine bewegung|nicht weiter|nicht(?: mehr)? bewegen',
    r'bewege?n? (?:dich|sich|sie sich) nicht(?: mehr)?',
    # French
    r'arrete[rz]? (?:toi|vous)|arret durgence',
    r'(?:ne )?(?:te |vous )?bouge[rz]? (?:pas|plus)|(?:ne )?pas bouger',
    # Spanish, Italian, Portuguese
    r'no te muevas|no se mueva|no moverse|(?:stai|sta|resta) fermo|(?:fique|fica) parado',
    r'non (?:ti |si )?(?:muovert[ie]|muovere|muova|muoversi)',
    r'nao (?:se (?:mova|mexa)|te (?:movas|mexas)|mexer?|mover?)',
    # Russian
    r'не (?:двигайся|двигайтесь|двигаться|двигай|шевелись)',
)
_WORDS = (
    # English
    r's+to+p+|stop(?:ped|ping|s)|e?stop|emergency|cancel|halt|abort|freeze|pause|wait|quit|hold',
    r'stay|cease|desist|terminate|kill|disable|shutdown|standby|idle|enough|nothing|no|nope|never',
    r'off|brak(?:e|ing)|dont|do not',
    # German
    r'halte|anhalten|warten?|aufhoren|abbruch|abbrechen|stillstand|notaus|nothalt|nein',
    r'stehenbleiben',
    # French
    r'arret(?:e|er|ez)?|halte|attend(?:s|ez|re)|annule[rz]?|non',
    # Spanish, Italian, Portuguese
    r'par[ae]r?|parate|pare(?:se|n)|det(?:ente|ener|enerse|engase)|alto|alt|quiet[oa]|basta',
    r'esper[ae]r?|cancel[ae]r?|pausa|ferm[aio](?:ti|re|tevi)?|arresta(?:ti|re)?|aspetta(?:re)?',
    r'annulla(?:re)?|parad[oa]|nao',
    # Russian
    r'стоп|стой(?:те)?|останов(?:ись|итесь|ить|иться|ка|и|ите)|хватит|отмен[аи]|отменить|нет',
    r'(?:подо)?жди(?:те)?|замри(?:те)?|прекрати(?:те|ть)?|стоять',
    # Chinese, Japanese, Korean, which write a sentence without blanks
    r'(?:请|請|快|马上|立即|立刻|紧急|緊急|机器人|機器人)*'
    r'(?:停(?:止|下|下来|下來|住|机|機)?|(?:别|別|不要|不许|不准)(?:再)?(?:动|動)|暂停|暫停|取消|等等|等一下)'
    r'(?:运动|運動|吧|了|啊)*',
    r'(?:ロボット)?(?:止ま(?:れ|って|りなさい)|とま(?:れ|って)|止めて|やめ(?:て|ろ)|ストップ'
    r'|緊急停止|停止|一時停止|中止|動(?:くな|かないで)|うごくな|待(?:て|って))'
    r'(?:ください|下さい|して|しろ|せよ)*',
    r'(?:로봇아?)?(?:멈춰|멈추|멈추어|멈춤|정지|비상정지|긴급정지|스톱|스탑|그만|중지|취소|잠깐|기다려'
    r'|움직이지 ?마)(?:해|세요|십시오|하세요|하십시오|요|라|줘|주세요)*',
)
_SAYS_STOP = re.compile(rf'(?<![^ ])(?:{_folded("|".join((*_PHRASES, *_WORDS)))})(?![^ ])')
"""What people say to stop a robot. Phrases come before words, since some begin with one."""

_AROUND = frozenset(
    _folded(
        # whom one calls, and how
        'robot robots arm arms machine you your yourself hey hi hello ok okay oh ah please now '
        'just alright right well so and then can could would will must should we need have i said '
        # what is to stop, and when
        'immediately instantly once at away here there still again quick quickly fast for a an '
        'the it this that thats these all everything anything moment second minute more anymore '
        'further from to of e data moving motion movement movements doing what are is current '
        'task mission program run action job goal command instruction operation '
        # the same in the other languages
        'roboter bitte jetzt sofort der den die das dich du mal sie alles auf mehr '
        'sil il te vous plait le la les tout toute de suite immediatement maintenant bras '
        'por favor el los ya ahora inmediatamente todo brazo per favore adesso subito tutto '
        'braccio o robo agora ja tudo braco imediatamente '
        'робот пожалуйста сейчас немедленно эй же рука всё '
        '请 机器人 機器人 ロボット 今すぐ 로봇 로봇아 제발 지금 당장 주세요'
    ).split()
)
"""Words that may stand around such a word: with them, the text still only says stop."""

_STOPS = re.compile(r'(?<![^ ])(?:e?stop(?:ped|ping)?|emergency|halt|shutdown)(?![^ ])')
_AROUND_A_STOP = frozenset(
    {
        *('pressed', 'triggered', 'activated', 'active', 'engaged', 'button', 'obstacle'),
        *('motor', 'motors', 'servo', 'servos', 'safety', 'protective', 'soft', 'hard'),
    }
)
"""Words that may also stand around `_STOPS`, but not around hold or off: "hold the button" is a
task."""

_CLAUSE = re.compile(r'[,;:!?。、]|\.(?= |$)| [-–—]+ |[–—]')
_REASON = re.compile(r' (?:because|there|or|before|you)(?![^ ])')
"""What ends the first clause; after it comes why to stop, or what else to do."""

_NO = frozenset({'no', 'nope', 'never', 'nothing', 'nein', 'non', 'nao', 'нет'})
"""Words that do not mean stop if a clause follows, as in "no, the red one"."""

_SPELT = re.compile(r'(?<![^ ])[^\W\d_](?: [^\W\d_]){2,}(?![^ ])')

_PROMPT = re.compile(
    r'what action should (?:the )?robot take|\[/?inst\]|(?:out|assistant) ?:$|'
    r'^(?:in|input|(?:language.)?instruction|prompt|task|goal|command|data|text|user|human|system'
    r'|q|question) ?[:=]',
    re.IGNORECASE,
)
"""Parts of the prompts that `models.prompts` puts around an instruction, and usual labels."""

_TEMPLATE = re.compile(
    r'[{}\[\]<>]|__|\$[a-z]|%\w|&#?\w+;|^\W*(?:todo|tbd|fixme|(?:your )?instruction)\W*$',
    re.IGNORECASE,
)
"""Parts of templates and shell variables that were not filled in, and of text in HTML's encoding.
"""

_PRINTED = re.compile(r"""^(?:b|[\[(]+b?)(['"]).*\1,?[\])]*$""")
"""Bytes, tuples and lists of words as Python prints them."""

_NAME = re.compile(r'[^\W_]+(?:_+[^\W_]+)+(?:\.\w+)?|[^\W_]+(?:-[^\W_]+){2,}')
"""Words joined to a task's name, such as pick_up_the_bowl; a word such as pick-up is none."""

_QUOTES = (
    *(('"', '"'), ("'", "'"), ('`', '`'), ('“', '”'), ('„', '“'), ('‘', '’')),
    *(('«', '»'), ('「', '」')),
)

_JOINERS = '\u200c\u200d'  # invisible, but parts of words in some scripts, and of emoji

_REPLACEMENT = '\N{REPLACEMENT CHARACTER}'  # ROS replaces bytes that are not UTF-8 by it

_TO_CANCEL = "to cancel, send {data: ''} or call the service stop"


def says_stop(text: str) -> bool:
    """Return whether an instruction only says stop, in whatever words, or says it first."""
    plain = _SPELT.sub(lambda spelt: spelt[0].replace(' ', ''), _plain(text))
    if _is_stop(plain):
        return True
    clause = _plain(next(filter(_plain, _CLAUSE.split(_folded(text))), ''))
    first = _REASON.split(clause, maxsplit=1)[0]
    return first != plain and not _NO & {*first.split()} and _is_stop(first)


def _is_stop(plain: str) -> bool:
    rest, found = _SAYS_STOP.subn(' ', plain)
    around = _AROUND | _AROUND_A_STOP if _STOPS.search(plain) else _AROUND
    return found > 0 and around.issuperset(rest.split())


@lru_cache(maxsize=64)  # called again with each image
def fault_of_words(text: str) -> str | None:
    """Return why an instruction of limited length is refused; None if it is accepted.

    See `types.instruction_fault`, which also checks the length.
    """
    if _REPLACEMENT in text:
        return 'the instruction is not valid UTF-8: encode it so, or write it without accents'
    control = [character for character in text if unicodedata.category(character) == 'Cc']
    if control:
        return (
            f'the instruction holds control characters ({control[0]!r}), as line breaks and tabs '
            'are: write one task, in one line'
        )
    plain = _plain(text)
    if plain in _YES_NO:
        return (
            f'the instruction is {text!r}, as an empty or a yes-no {{data: }} sends; {_TO_CANCEL}'
        )
    if plain in _PLACEHOLDERS:
        return f'the instruction is {text!r}, which stands for nothing; {_TO_CANCEL}'
    if says_stop(text):
        return f'the instruction is {text!r}, which a policy would try to act out; {_TO_CANCEL}'
    if text and not any(map(str.isalpha, text)):
        return f'the instruction {text!r} has no words; {_TO_CANCEL}'
    hidden = [c for c in text if unicodedata.category(c) == 'Cf' and c not in _JOINERS]
    if hidden:
        return (
            f'the instruction holds invisible characters (U+{ord(hidden[0]):04X}), as text copied '
            'from a web page may, which a policy would read: type it anew'
        )
    return _fault_of_form(text)


def _fault_of_form(text: str) -> str | None:
    """Return what an instruction has around or in it with which no policy was trained."""
    if _PROMPT.search(text):
        return (
            f'the instruction {text!r} has words of the prompt, which is put around it here, or a '
            "label: give the task alone, what comes after 'take to', as in 'pick up the red block'"
        )
    if _PRINTED.search(text):
        return (
            f'the instruction {text} is as Python prints bytes, a tuple or a list: give the words '
            'that are in it, as .decode() and [0] do'
        )
    if _TEMPLATE.search(text):
        return (
            f'the instruction {text!r} is a template that was not filled in, or has brackets of '
            'one: say in plain words what to do'
        )
    if _NAME.fullmatch(text):
        return (
            f'the instruction {text} is written as the name of a task: write it in words with '
            'blanks between, as the policy was trained on'
        )
    if '\\' in text:
        return (
            f'the instruction {text} has a backslash, as an escape such as \\n leaves that nobody '
            'read: leave it out'
        )
    if any(
        text.startswith(opening) and text.endswith(closing) and closing not in text[1:-1]
        for opening, closing in _QUOTES
    ):
        return f'the instruction {text} is in quotes, which a policy would read: leave them out'
    return None
