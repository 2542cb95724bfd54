"""Settings of the user service; environment variables of the same names win over them."""

PORT = 8001
DB_URL = "sqlite:///user.db"
MIGRATIONS_TABLE = "user_migration"
SERVICES = {
    "region-service": "http://127.0.0.1:8002",
    "role-service": "http://127.0.0.1:8003",
}
API_TITLE = "Users"
API_DESCRIPTION = "The people, each with a city and a role that other services know more about."
