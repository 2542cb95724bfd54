"""Settings of the role service; environment variables of the same names win over them."""

PORT = 8003
DB_URL = "sqlite:///role.db"
MIGRATIONS_TABLE = "role_migration"
API_TITLE = "Roles"
API_DESCRIPTION = "What somebody may do."
