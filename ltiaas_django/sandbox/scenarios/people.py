"""Names of people as schools have them: of many languages and scripts, with all that forms and databases trip over.

All are made up of parts; a number always has the same name.
"""

from __future__ import annotations

from collections.abc import Sequence

_Parts = tuple[Sequence[str], Sequence[str]]

_ENGLISH: _Parts = (
    [
        "Emma",
        "Liam",
        "Olivia",
        "Noah",
        "Ava",
        "Ethan",
        "Sophia",
        "Mason",
        "Chloe",
        "Lucas",
        "Grace",
        "Henry",
        "Ruby",
        "Oscar",
        "Ivy",
        "Jack",
        "Maeve",
        "Owen",
    ],
    [
        "Smith",
        "Johnson",
        "O'Brien",
        "Brown",
        "Taylor",
        "D'Souza",
        "Clark",
        "Wright",
        "McAllister",
        "Nguyen",
        "Walker-Hughes",
        "Green",
        "St.John",
        "Lee",
    ],
)
_SPANISH: _Parts = (
    ["José", "María", "Lucía", "Íñigo", "Sofía", "Ángel", "Begoña", "Tomás", "Inés", "Raúl", "Nuria", "Álvaro"],
    ["García Núñez", "de la Cruz", "Ibáñez", "Muñoz Peña", "Fernández", "Ortiz y Gómez", "López", "Zúñiga"],
)
_EUROPEAN: _Parts = (
    [
        "Zoë",
        "Jürgen",
        "Łukasz",
        "Søren",
        "Åsa",
        "Aoife",
        "Élodie",
        "Žofia",
        "Gülşen",
        "Ștefan",
        "Þóra",
        "Mārtiņš",
        "Dvořáčka",
        "Jérôme",
    ],
    [
        "Müller",
        "Øvergård",
        "Kowalczyk",
        "Ní Dhómhnaill",
        "van der Berg",
        "Çelik",
        "Þorsteinsdóttir",
        "Brâncuși",
        "Ozoliņš",
    ],
)
_CYRILLIC: _Parts = (
    ["Олена", "Дмитро", "Анастасія", "Юрій", "Ірина", "Сергей", "Наталья", "Фёдор"],
    ["Шевченко", "Іваненко", "Кузнецова", "Щербань", "Ткач", "Ёлкин", "Гончарук"],
)
_ARABIC: _Parts = (
    ["فاطمة", "محمد", "عائشة", "يوسف", "ليلى", "عمر", "مريم", "خالد"],
    ["الزهراء", "عبد الله", "النجار", "حسين", "بن سالم", "الخطيب"],
)
_INDIAN: _Parts = (
    ["Priya", "Arjun", "Lakshmi", "Rohan", "अनन्या", "विवेक", "தமிழ்ச்செல்வி", "ਗੁਰਪ੍ਰੀਤ"],
    ["Raghunathan", "Iyer", "Sharma", "शर्मा", "वर्मा", "முருகன்", "Singh"],
)
_GREEK_AND_HEBREW: _Parts = (
    ["Ελένη", "Γιώργος", "Κατερίνα", "נועה", "יוסף", "תמר"],
    ["Παπαδόπουλος", "Νικολάου", "כהן", "לוי"],
)
_VIETNAMESE: _Parts = (
    ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Đặng"],
    ["Thị Ánh", "Văn Đức", "Ngọc Diệp", "Minh Quân", "Thùy Dương"],
)
_AFRICAN: _Parts = (
    ["Amina", "Chukwuemeka", "Thandiwe", "Kwame", "Ọlárónkẹ́", "Sipho", "Nneka"],
    ["Okafor", "Ndlovu", "Mensah", "Adébáyọ̀", "Dlamini", "Wanjikũ"],
)
# As many schools of East Asia enter them: one word, which leaves the family name blank.
_ONE_WORD: _Parts = (
    ["王", "李", "张", "佐藤", "鈴木", "김", "박", "陳"],
    ["小明", "伟", "美玲", "さくら", "健太", "민준", "서연", "怡君"],
)
_MONONYM: _Parts = (["Suharto", "Dewi", "Budi", "Ratna", "Wayan", "Made"], [""])

_TURNS: Sequence[_Parts] = (
    *(_ENGLISH,) * 6,
    *(_SPANISH,) * 3,
    *(_EUROPEAN,) * 3,
    *(_ONE_WORD,) * 2,
    _CYRILLIC,
    _ARABIC,
    _INDIAN,
    _INDIAN,
    _GREEK_AND_HEBREW,
    _VIETNAMESE,
    _AFRICAN,
    _AFRICAN,
    _MONONYM,
)


def name_of(number: int) -> str:
    """The full name of person number so-and-so."""
    mixed = number * 2_654_435_761 % 2**32  # Knuth's multiplicative hash: neighbours have nothing in common
    mixed, turn = divmod(mixed, len(_TURNS))
    given, family = _TURNS[turn]
    mixed, first = divmod(mixed, len(given))
    last = mixed % len(family)
    between = "" if _TURNS[turn] is _ONE_WORD else " "
    return f"{given[first]}{between}{family[last]}".strip()
