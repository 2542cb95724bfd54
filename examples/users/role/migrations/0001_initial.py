"""Create table roles."""

import peewee as pw


def up(migrator, db):
    class Role(pw.Model):
        id = pw.AutoField()
        name = pw.CharField(max_length=64, unique=True)

        class Meta:
            database = db
            table_name = "roles"

    db.create_tables([Role])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("roles"))
