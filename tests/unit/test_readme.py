"""The README says what is so."""

from dataclasses import fields

from include.social_analytics.settings import Settings
from tests.support.readme import _SETTING_MEANINGS, README, rendered


def test_the_tables_in_the_readme_are_those_of_the_code():
    text = README.read_text()
    assert text == rendered(text), "The README's tables are out of date: run `make readme`."


def test_the_readme_names_every_setting():
    assert list(_SETTING_MEANINGS) == [field.name for field in fields(Settings)]
