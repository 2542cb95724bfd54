"""Create table provinces; create table cities."""

import peewee as pw


def up(migrator, db):
    class Province(pw.Model):
        id = pw.AutoField()
        name = pw.CharField(max_length=64, unique=True)

        class Meta:
            database = db
            table_name = "provinces"

    db.create_tables([Province])

    class City(pw.Model):
        id = pw.AutoField()
        name = pw.CharField(max_length=64)
        province = pw.ForeignKeyField(Province)

        class Meta:
            database = db
            table_name = "cities"

    db.create_tables([City])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("cities"))
    migrator.migrate(migrator.drop_table("provinces"))
