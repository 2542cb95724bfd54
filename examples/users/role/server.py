"""The role service: ``sanic-ms run``, or ``python server.py``."""

from views import RoleRepository, roles

from sanic_ms import Service

app = Service("role-service")
app.provide(RoleRepository)
app.blueprint(roles)

if __name__ == "__main__":
    app.run()
