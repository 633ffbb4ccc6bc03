"""The README says what is so."""

from include.social_analytics.settings import Settings
from tests.support.readme import README, rendered


def test_the_tables_in_the_readme_are_those_of_the_code():
    text = README.read_text()
    assert text == rendered(text), "The README's tables are out of date: run `make readme`."


def test_every_setting_is_described_in_its_own_field():
    assert all(field.description for field in Settings.model_fields.values())
