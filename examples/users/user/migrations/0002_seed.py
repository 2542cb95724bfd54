"""The users that the example starts with."""

USERS = [
    ("Ann", 34, 1, 1, "2026-01-05 08:30:00"),
    ("Bo", 27, 2, 2, "2026-02-11 14:00:00"),
    ("Chen", 19, 3, 3, "2026-03-20 19:45:00"),
]


def up(migrator, db):
    marks = ", ".join([db.param] * 5)
    for user in USERS:
        db.execute_sql(
            f"INSERT INTO users(name, age, city_id, role_id, create_time) VALUES({marks})", user
        )


def down(migrator, db):
    db.execute_sql("DELETE FROM users")
