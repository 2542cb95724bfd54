"""Create table users."""

import peewee as pw


def up(migrator, db):
    class User(pw.Model):
        id = pw.AutoField()
        name = pw.CharField(max_length=128)
        age = pw.IntegerField()
        city_id = pw.IntegerField()
        role_id = pw.IntegerField()
        create_time = pw.DateTimeField()

        class Meta:
            database = db
            table_name = "users"

    db.create_tables([User])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("users"))
