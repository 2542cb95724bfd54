"""The tables of the region service."""

from peewee import AutoField, CharField, ForeignKeyField, Model


class Province(Model):
    """A province."""

    id = AutoField()
    name = CharField(max_length=64, unique=True, verbose_name="province's name")

    class Meta:
        table_name = "provinces"


class City(Model):
    """A city, which lies in a province."""

    id = AutoField()
    name = CharField(max_length=64, verbose_name="city's name")
    province = ForeignKeyField(Province, backref="cities", verbose_name="province's id")

    class Meta:
        table_name = "cities"
