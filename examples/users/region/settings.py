"""Settings of the region service; environment variables of the same names win over them."""

PORT = 8002
DB_URL = "sqlite:///region.db"
MIGRATIONS_TABLE = "region_migration"
API_TITLE = "Regions"
API_DESCRIPTION = "Provinces and their cities."
