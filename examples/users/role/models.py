"""The table of the role service."""

from peewee import AutoField, CharField, Model


class Role(Model):
    """What somebody may do."""

    id = AutoField()
    name = CharField(max_length=64, unique=True, verbose_name="role's name")

    class Meta:
        table_name = "roles"
