"""The provinces and cities that the example starts with."""

CITIES = {
    "Shanghai": ["Shanghai"],
    "Guangdong": ["Guangzhou", "Shenzhen"],
}


def up(migrator, db):
    for province, cities in CITIES.items():
        mark = db.param
        db.execute_sql(f"INSERT INTO provinces(name) VALUES({mark})", (province,))
        ((province_id,),) = db.execute_sql(
            f"SELECT id FROM provinces WHERE name = {mark}", (province,)
        ).fetchall()
        for city in cities:
            db.execute_sql(
                f"INSERT INTO cities(name, province_id) VALUES({mark}, {mark})", (city, province_id)
            )


def down(migrator, db):
    db.execute_sql("DELETE FROM cities")
    db.execute_sql("DELETE FROM provinces")
