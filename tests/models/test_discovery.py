"""Which models stand for tables, and what is said about modules that cannot be read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sanic_ms.exception import ConfigError
from sanic_ms.models import find_models

WriteModule = Callable[..., str]


def names(modules: list[str]) -> list[str]:
    return [model.__name__ for model in find_models(modules)]


def test_models_come_in_the_order_of_their_references(write_module: WriteModule) -> None:
    """A table is listed after those that it refers to, wherever it stands in the module."""
    module = write_module(
        """
        from peewee import *
        class Zone(Model):
            name = TextField()
        class Address(Model):
            zone = ForeignKeyField(Zone)
        """
    )
    assert names([module]) == ["Zone", "Address"]


def test_base_classes_are_no_tables(write_module: WriteModule) -> None:
    """A class that others subclass, or that has nothing but the implicit id, is no table."""
    module = write_module(
        """
        from peewee import *
        class Base(Model):
            class Meta:
                legacy_table_names = False
        class Stamped(Base):
            created = DateTimeField()
        class User(Stamped):
            name = TextField()
        class Empty(Model):
            pass
        """
    )
    assert names([module]) == ["User"]


def test_a_base_class_with_a_table_name_is_a_table(write_module: WriteModule) -> None:
    """Who chooses a table_name wants a table, subclassed or empty."""
    module = write_module(
        """
        from peewee import *
        class Person(Model):
            name = TextField()
            class Meta:
                table_name = "people"
        class Employee(Person):
            salary = IntegerField()
            class Meta:
                table_name = "employees"
        class Ticket(Model):
            class Meta:
                table_name = "tickets"
        """
    )
    assert sorted(names([module])) == ["Employee", "Person", "Ticket"]


def test_imported_models_belong_to_their_own_module(write_module: WriteModule) -> None:
    """A model imported for a foreign key is not a table of the module that imports it."""
    other = write_module("from peewee import *\nclass City(Model):\n    name = TextField()\n")
    module = write_module(
        f"""
        from peewee import *
        from {other} import City
        class User(Model):
            city = ForeignKeyField(City)
        """
    )
    assert names([module]) == ["User"]
    assert names([module, other]) == ["City", "User"]


def test_a_package_is_searched_with_its_submodules(write_module: WriteModule) -> None:
    """Models may be split over the files of a package that imports none of them; its __main__ is
    not run."""
    package = write_module(
        "",
        user="from peewee import *\nclass User(Model):\n    name = TextField()\n",
        city="from peewee import *\nclass City(Model):\n    name = TextField()\n",
        __main__="raise SystemExit('run')",
    )
    assert names([package]) == ["City", "User"]


def test_nothing_is_nothing(write_module: WriteModule) -> None:
    """No modules, or one without models, is an empty list."""
    assert find_models([]) == []
    assert find_models([write_module("x = 1")]) == []


def test_the_same_module_twice_is_once(write_module: WriteModule) -> None:
    """Naming a module twice does not double its models."""
    module = write_module("from peewee import *\nclass City(Model):\n    name = TextField()\n")
    assert names([module, module]) == ["City"]


def test_two_models_for_one_table_are_refused(write_module: WriteModule) -> None:
    """Which of the two would the table be made from?"""
    module = write_module(
        """
        from peewee import *
        class A(Model):
            name = TextField()
            class Meta:
                table_name = "same"
        class B(Model):
            age = IntegerField()
            class Meta:
                table_name = "same"
        """
    )
    with pytest.raises(ConfigError, match=r"two models stand for the table 'same': .*A and .*B"):
        find_models([module])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_like_it", r"^models_\d+\.py:1: ModuleNotFoundError: No module named"),
        ("x = 1\n1 / 0", r"^models_\d+\.py:2: ZeroDivisionError: division by zero$"),
        ("class A(:", r"models_\d+\.py:1: SyntaxError: "),
        ("from peewee import *\nclass A(Model):\n    x = CharField(nul=1)", r"^models_\d+\.py:3: "),
    ],
)
def test_a_module_that_raises_is_named_with_its_line(
    write_module: WriteModule, text: str, message: str
) -> None:
    """One line: the place in the user's file, and what happened there."""
    with pytest.raises(ConfigError, match=message) as caught:
        find_models([write_module(text)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_module_here", "no.such.module"])
def test_a_missing_module_says_where_it_was_looked_for(
    write_module: WriteModule, name: str
) -> None:
    """The setting and the folder are in the message."""
    with pytest.raises(ConfigError, match=r"there is no module .* setting MODELS.*import path"):
        find_models([name])


def test_one_text_is_not_a_list_of_letters() -> None:
    """MODELS = "models" is refused with what to write."""
    with pytest.raises(ConfigError, match=r"write a list of modules, \['models'\]"):
        find_models("models")


def test_the_table_name_of_peewee_2(write_module: WriteModule) -> None:
    """``Meta.db_table`` names the table, and makes a table of a class, as ``table_name`` does."""
    module = write_module(
        """
        from peewee import *
        class Person(Model):
            name = TextField()
            class Meta:
                db_table = "users"
        class Empty(Model):
            class Meta:
                db_table = "log"
        """
    )
    with pytest.warns(DeprecationWarning, match="db_table"):
        found = find_models([module])
    assert sorted(model._meta.table_name for model in found) == ["log", "users"]
