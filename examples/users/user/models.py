"""The tables of the user service, and what it knows of other services' objects."""

from peewee import AutoField, CharField, DateTimeField, IntegerField, Model

from sanic_ms import doc
from sanic_ms.models import utcnow


class ProvinceApi:
    """A province, as the region service answers it."""

    id = doc.Integer("province's id")
    name = doc.String("province's name")


class CityApi:
    """A city, as the region service answers it."""

    id = doc.Integer("city's id")
    name = doc.String("city's name")
    province = doc.Object(ProvinceApi, "the province that it lies in")


class RoleApi:
    """A role, as the role service answers it."""

    id = doc.Integer("role's id")
    name = doc.String("role's name")


class User(Model):
    """A person."""

    id = AutoField()
    name = CharField(max_length=128, verbose_name="user's name")
    age = IntegerField(verbose_name="user's age")
    city_id = IntegerField(verbose_name="city", help_text=CityApi)
    role_id = IntegerField(verbose_name="role", help_text=RoleApi)
    create_time = DateTimeField(default=utcnow, verbose_name="when the user was created")

    class Meta:
        table_name = "users"
