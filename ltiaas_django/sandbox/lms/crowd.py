"""People who are made up, by the hundred: names from many places, the same at every start."""

from __future__ import annotations

from ltiaas_django.vocabulary import Role

from ..courses import Course

_GIVEN = """
Aaliyah Adriana Ahmed Aiko Alejandro Amara Anders Anjali Anna Arjun Aurora Ayşe Beatriz Bilal Björn Camila
Chloé Chidi Dana Diego Dmitri Eilidh Elif Emeka Emma Esperanza Farid Fatou Femi Gabriel Giulia Grace Hana
Hassan Ingrid Ioana Isla Jakub Jamal Jorge Joy Kai Kateryna Kwame Lars Leila Lin Łucja Luca Mateo Maya Mehmet
Mikołaj Ming Nadia Ngọc Niamh Noah Olga Omar Paulo Priya Rafael Ravi Rosa Ruth Samuel Sana Seán Sofía Tariq
Thandiwe Tomáš Uma Valeria Viktor Wei Xiomara Yara Yuki Zanele Zuzana
"""
_FAMILY = """
Adeyemi Ahmadi Andersson Bauer Bianchi Boateng Castillo Çelik Chen Cohen Costa Dhillon Diallo Dubois Eriksen
Fernández Fischer García Haddad Hernández Hoang Horváth Ibrahim Ito Jansen Jiménez Johnson Kapoor Kim Kovács
Kowalski Lefèvre Lopes MacDonald Mahlangu Mbeki Moreau Müller Murphy Nakamura Ndiaye Nguyễn Novák Nowak
O'Connor Okafor Oliveira Öztürk Papadopoulos Park Patel Pereira Petrova Popescu Quispe Rahman Ramírez Rossi
Saito Santos Schmidt Silva Singh Smith Svensson Tanaka Torres Tran Usman Van_Dijk Vargas Wang Weber Williams
Wójcik Wong Yılmaz Zhang
"""
_STRIDE = 37
"""Coprime to the number of family names: neighbours do not share one, and pairs do not come again soon."""


def name_of(number: int) -> str:
    """The name of the so-manieth person."""
    given, family = _GIVEN.split(), _FAMILY.split()
    first = given[number % len(given)]
    last = family[(number * _STRIDE + number // len(given)) % len(family)]
    return f"{first} {last.replace('_', ' ')}"


def enrol(place: Course, count: int) -> None:
    """So many learners more."""
    start = len(place.people)
    for number in range(start, start + count):
        place.add_person(name_of(number), Role.LEARNER)
