"""Pseudonymous keys only: what looks like a name, a date of birth or a hospital number is refused."""

from __future__ import annotations

import re

from ctcfish.trial.problems import Problem, Sheet, at_rows

_WORDS = {
    "a name": "name names surname firstname lastname forename initials initial nom prenom vorname nachname maiden",
    "a date of birth": "dob birth birthday birthdate born naissance ddn geburtsdatum geburtstag",
    "a hospital number": "mrn hospital hospitalid ipp nip nhs nss ssn nir insurance chart dossier casenumber",
    "an address": "email mail phone telephone mobile address adresse street postcode zip zipcode",
}
_LOOKS = {word: what for what, words in _WORDS.items() for word in words.split()}
_PARTS = ("surname", "firstname", "lastname", "birth", "hospital", "medicalrecord", "naissance")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LONGEST_NUMBER = 7


def columns(sheet: Sheet) -> list[Problem]:
    """Return a problem for every column that is not declared; its wanted text says what it looks like."""
    found = []
    for name in sheet.frame.columns:
        if name not in sheet.table.names:
            what = looks_like(name)
            wanted = (
                f"no column that looks like {what}: pseudonymous keys only, take it out of the file"
                if what
                else f"only {sheet.table.names}"
            )
            found.append(Problem(sheet.file, 1, name, name, wanted))
    return found


def looks_like(column: str) -> str:
    """Return what a column's name seems to hold, empty where it seems harmless.

    Examples
    --------
    >>> looks_like("Date of birth"), looks_like("patientName"), looks_like("organ")
    ('a date of birth', 'a name', '')
    """
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", column).lower())
    joined = "".join(words)
    for word in [*words, joined, *(part for part in _PARTS if part in joined)]:
        if word in _LOOKS:
            return _LOOKS[word]
    if "birth" in joined:
        return "a date of birth"
    return "a hospital number" if "hospital" in joined or "medicalrecord" in joined else ""


def keys(sheet: Sheet) -> list[Problem]:
    """Return a problem for every patient key that is no pseudonym."""
    if "patient_id" not in sheet.frame.columns:
        return []
    given = sheet.frame["patient_id"]
    given = given[given != ""]
    bad = given[[not _is_pseudonym(value) for value in given.tolist()]]
    wanted = (
        "a pseudonym: letters, digits, '_', '.', '-', at least one digit, "
        f"and no bare number of more than {_LONGEST_NUMBER} digits or date"
    )
    return at_rows(sheet.file, bad, "patient_id", wanted)


def _is_pseudonym(value: str) -> bool:
    digits = re.sub(r"[-_./]", "", value)
    return (
        _KEY.fullmatch(value) is not None
        and any(c.isdigit() for c in value)
        and not (digits.isdigit() and len(digits) > _LONGEST_NUMBER)
    )
