"""The roles that the example starts with."""

ROLES = ["admin", "editor", "reader"]


def up(migrator, db):
    for role in ROLES:
        db.execute_sql(f"INSERT INTO roles(name) VALUES({db.param})", (role,))


def down(migrator, db):
    db.execute_sql("DELETE FROM roles")
